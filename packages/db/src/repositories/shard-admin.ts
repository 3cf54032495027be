import { sql } from "kysely";
import { changed, type Executor, firstRow } from "../open.ts";

/**
 * Splits a shard at a company_no inside it: `[at, hi)` becomes a new shard, which nobody owns, with the epoch
 * of the old one, so that whoever claims it raises the fences of what moved. `workerId`: its owner, which has
 * closed the numbers that move, in the epoch that it names, since a call that was given up may run later;
 * null (role platform): only if nobody owns it. One statement. Returns the new shard's id, or undefined: it is owned by another (or by
 * anybody, for null) or in another epoch, or `at` is not inside.
 */
export async function splitShard(
  executor: Executor,
  input: { workerId: string | null; shardId: number; epoch?: number; at: number },
): Promise<number | undefined> {
  const { workerId, shardId, epoch = null, at } = input;
  const row = await firstRow(
    executor,
    sql<{
      made: number | null;
    }>`select split_shard(${workerId}, ${shardId}, ${epoch}, ${at}) as made`,
  );
  return row?.made ?? undefined;
}

/**
 * Merges the shard right above into `shardId`, which nobody owns afterwards, with the higher epoch of the two.
 * `workerId`: the owner of both, which has closed all their numbers, in the epochs that it names; null (role
 * platform): only if nobody owns either. A shard that was released and not claimed again counts as the
 * owner's. One statement. Returns the id that is gone, or undefined: they are owned by others (or by
 * anybody, for null) or in another epoch, or there is nothing above.
 */
export async function mergeShards(
  executor: Executor,
  input: { workerId: string | null; shardId: number; epoch?: number; upperEpoch?: number },
): Promise<number | undefined> {
  const { workerId, shardId, epoch = null, upperEpoch = null } = input;
  const row = await firstRow(
    executor,
    sql<{ removed: number | null }>`
      select merge_shards(${workerId}, ${shardId}, ${epoch}, ${upperEpoch}) as removed`,
  );
  return row?.removed ?? undefined;
}

/** What is left out stays as it is. */
export type ShardWishes = {
  /** A host; null: no longer pinned. */
  pinnedTo?: string | null;
  paused?: boolean;
  /** A company_no inside the shard; null: not to be split. */
  splitAt?: number | null;
  mergeNext?: boolean;
};

/**
 * Notes what an operator wants of a shard; its owner reads it with its next renewal. Role platform. False:
 * there is no such shard, or `splitAt` does not lie inside it.
 */
export async function wishShard(
  executor: Executor,
  shardId: number,
  wishes: ShardWishes,
): Promise<boolean> {
  const { pinnedTo, paused, splitAt, mergeNext } = wishes;
  const sets = [
    ...(pinnedTo === undefined ? [] : [sql`pinned_to = ${pinnedTo}`]),
    ...(paused === undefined ? [] : [sql`paused = ${paused}`]),
    ...(splitAt === undefined ? [] : [sql`split_at = ${splitAt}`]),
    ...(mergeNext === undefined ? [] : [sql`merge_next = ${mergeNext}`]),
  ];
  if (sets.length === 0) sets.push(sql`paused = paused`);
  const count = await changed(
    executor,
    sql`update shard_leases l set ${sql.join(sets)} from shards s
      where l.shard_id = ${shardId} and s.shard_id = l.shard_id
        and (${splitAt ?? null}::int is null or (s.lo < ${splitAt ?? null}::int and ${splitAt ?? null}::int < s.hi))`,
  );
  return count > 0;
}

/** An operator wants a worker to hand over everything, or no longer. Role platform. False: there is no such worker. */
export async function askDrain(
  executor: Executor,
  workerId: string,
  isAsked: boolean,
): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update workers set drain_asked = ${isAsked} where worker_id = ${workerId}`,
  );
  return count > 0;
}
