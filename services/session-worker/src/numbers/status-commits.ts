/**
 * Group commit of statuses: whatever numbers of this worker become at the same moment is committed in one
 * fenced transaction, facts and events together.
 */
import type { OutgoingEvent } from "@manyline/contracts";
import {
  appendEvents,
  fencedBatch,
  FencedError,
  setHealths,
  setNumberStatuses,
  type Database,
  type EventRelay,
  type Fence,
  type HealthChange,
  type StatusChange,
} from "@manyline/db";
import { Grouped } from "./grouped.ts";

/** A number has at most one of these waiting: it waits for each of its commits. */
export type StatusCommit = {
  fence: Fence;
  change: StatusChange | undefined;
  health: HealthChange | undefined;
  event: OutgoingEvent | undefined;
};

/** A transaction stays short, as those who raise fences wait for it. */
const MOST_AT_ONCE = 100;

/** Rejects with FencedError for a number that is not ours any more, whatever becomes of the others. */
export type StatusCommits = { add(commit: StatusCommit): Promise<true> };

export function createStatusCommits(db: Database, relay: EventRelay): StatusCommits {
  return new Grouped<StatusCommit, true>(async (commits) => {
    const held = await commit(db, relay, commits);
    return commits.map(({ fence }) => held.has(fence.numberNo) || new FencedError(fence));
  }, MOST_AT_ONCE);
}

/** The numbers whose fence held; nothing of the others was written. */
async function commit(
  db: Database,
  relay: EventRelay,
  commits: readonly StatusCommit[],
): Promise<Set<number>> {
  const fences = commits.map(({ fence }) => fence);
  const { ours, stored } = await fencedBatch(db, fences, async (tx, held) => {
    const heldNos = new Set(held.map(({ numberNo }) => numberNo));
    const mine = commits.filter(({ fence }) => heldNos.has(fence.numberNo));
    await setNumberStatuses(
      tx,
      mine.flatMap(({ fence, change }) => (change ? [{ ...change, fence }] : [])),
    );
    await setHealths(
      tx,
      mine.flatMap(({ fence, health }) => (health ? [{ ...health, fence }] : [])),
    );
    const events = mine.flatMap(({ fence: { companyNo, numberNo }, event }) =>
      event ? [{ companyNo, numberNo, event }] : [],
    );
    return { ours: heldNos, stored: await appendEvents(tx, events) };
  });
  if (stored.length > 0) relay.publish(stored);
  return ours;
}
