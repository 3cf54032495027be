/** Group commit of what comes: whatever numbers of this worker have to tell at the same moment, in one transaction. */
import {
  commitInbounds,
  type Database,
  type InboundCommit,
  type InboundResult,
  type Keyring,
} from "@manyline/db";
import { Grouped } from "./grouped.ts";

/** Numbers in one transaction, which stays short: those who raise fences wait for it. */
const MOST_AT_ONCE = 24;

/** Rejects with FencedError for a number that is not ours any more, whatever becomes of the others. */
export type InboundCommits = { add(commit: InboundCommit): Promise<InboundResult> };

export function createInboundCommits(db: Database, keyring: Keyring): InboundCommits {
  return new Grouped<InboundCommit, InboundResult>(
    (commits) => commitInbounds(db, keyring, commits),
    MOST_AT_ONCE,
  );
}
