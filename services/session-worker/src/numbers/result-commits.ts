/** Group commit of what becomes of messages: whatever numbers of this worker learn at the same moment, in one transaction. */
import { noteAllStatuses, type Database, type StatusBatch, type StoredEvent } from "@manyline/db";
import { Grouped } from "./grouped.ts";

/** Numbers in one transaction, which stays short: new messages of its chats wait for it, and those who raise fences. */
const MOST_AT_ONCE = 8;
/** Commits under way: one that waits for its number's fence must not hold up all the others. */
const LANES = 2;

/** Rejects with FencedError for a number that is not ours any more, whatever becomes of the others. */
export type ResultCommits = { add(batch: StatusBatch): Promise<StoredEvent[]> };

export function createResultCommits(db: Database): ResultCommits {
  return new Grouped<StatusBatch, StoredEvent[]>(
    (batches) => noteAllStatuses(db, batches),
    MOST_AT_ONCE,
    LANES,
  );
}
