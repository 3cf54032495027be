import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";

export type HeldShard = { shardId: number; epoch: number };

export type ShardCounts = {
  total: number;
  mine: number;
  /** Released or never owned, or past their lease. */
  unowned: number;
  /** Seen within the lease time and not draining. */
  liveWorkers: number;
  /** Sum of their capacities, mine included if I am one of them. */
  liveCapacity: number;
  myCapacity: number;
};

/** How long a released shard is offered to the newest generation before the others may take it. */
const NEWEST_FIRST_MS = 2_000;

/** A lease lasts this long unless the caller says otherwise, milliseconds. */
export const LEASE_TTL_MS = 10_000;

/**
 * Heartbeat and renewal of everything the worker owns, in one statement. What is not returned is lost:
 * drop it. Whether a lease had run out does not matter as long as nobody took it over. Run it on a
 * connection of its own, and count the deadline from before the call.
 */
export async function renewLeases(
  executor: Executor,
  workerId: string,
  ttlMs = LEASE_TTL_MS,
): Promise<HeldShard[]> {
  return rows(
    executor,
    sql<HeldShard>`
      with beat as (
        update workers set seen_at = clock_timestamp() where worker_id = ${workerId}
      )
      update shard_leases
      set expires_at = clock_timestamp() + ${ttlMs}::bigint * interval '1 millisecond'
      where owner = ${workerId}
      returning shard_id, epoch`,
  );
}

/**
 * Takes shards nobody owns, released ones first; each gets a new epoch. `mayTakeExpired`: also those whose
 * owner let its lease run out; only for a worker whose own renewals went through without a gap for a whole
 * lease time. Just released ones go to the newest generation for 2 s. Raise the fences next.
 */
export async function claimShards(
  executor: Executor,
  workerId: string,
  options: { limit: number; ttlMs?: number; mayTakeExpired: boolean },
): Promise<HeldShard[]> {
  const { limit, ttlMs = LEASE_TTL_MS, mayTakeExpired } = options;
  if (limit <= 0) return [];
  return rows(
    executor,
    sql<HeldShard>`
      with newest as (
        select not exists (
          select 1 from workers w, workers me
          where me.worker_id = ${workerId} and w.generation > me.generation and not w.draining
            and w.seen_at > clock_timestamp() - ${ttlMs}::bigint * interval '1 millisecond') as is_mine
      ), free as materialized (
        select l.shard_id from shard_leases l, newest
        where (l.owner is null and (newest.is_mine or l.released_at is null or l.released_at
            < clock_timestamp() - ${NEWEST_FIRST_MS}::bigint * interval '1 millisecond'))
          or (l.owner is not null and ${mayTakeExpired} and l.expires_at < clock_timestamp())
        order by l.owner is not null, l.shard_id
        limit ${limit} for update of l skip locked
      )
      update shard_leases l
      set owner = ${workerId}, epoch = l.epoch + 1, released_at = null,
        expires_at = clock_timestamp() + ${ttlMs}::bigint * interval '1 millisecond'
      from free where l.shard_id = free.shard_id
      returning l.shard_id, l.epoch`,
  );
}

/** The figures a worker needs to find its fair share. */
export async function countShards(
  executor: Executor,
  workerId: string,
  ttlMs = LEASE_TTL_MS,
): Promise<ShardCounts> {
  const row = await firstRow(
    executor,
    sql<ShardCounts>`
      select
        (select count(*) from shard_leases) as total,
        (select count(*) from shard_leases where owner = ${workerId}) as mine,
        (select count(*) from shard_leases
          where owner is null or expires_at < clock_timestamp()) as unowned,
        count(*) as live_workers,
        coalesce(sum(capacity), 0) as live_capacity,
        coalesce((select capacity from workers where worker_id = ${workerId}), 0) as my_capacity
      from workers
      where not draining and seen_at > clock_timestamp() - ${ttlMs}::bigint * interval '1 millisecond'`,
  );
  if (row === undefined) throw new Error("shards could not be counted");
  return row;
}

/**
 * Gives shards back (all of the worker's, if none are named), after their connections are closed. Returns
 * those that were still its own. Poke `LEASE_POKE` afterwards.
 */
export async function releaseShards(
  executor: Executor,
  workerId: string,
  shardIds?: number[],
): Promise<number[]> {
  const released = await rows(
    executor,
    sql<{ shardId: number }>`
      update shard_leases set owner = null, expires_at = null, released_at = clock_timestamp()
      where owner = ${workerId} and (${shardIds ?? null}::int[] is null or shard_id = any (${shardIds ?? null}::int[]))
      returning shard_id`,
  );
  return released.map(({ shardId }) => shardId);
}

/** The owner has begun to serve the shard: a leaving worker may hand over its next one. */
export async function markShardOpen(
  executor: Executor,
  workerId: string,
  shard: HeldShard,
): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update shard_leases set open_epoch = epoch
      where shard_id = ${shard.shardId} and owner = ${workerId} and epoch = ${shard.epoch}`,
  );
  return count > 0;
}

/** Whether somebody with a newer epoch than `epoch` owns the shard and serves it. */
export async function isShardOpen(
  executor: Executor,
  shardId: number,
  afterEpoch: number,
): Promise<boolean> {
  const row = await firstRow(
    executor,
    sql<{ isOpen: boolean }>`
      select owner is not null and open_epoch = epoch and epoch > ${afterEpoch} as is_open
      from shard_leases where shard_id = ${shardId}`,
  );
  return row?.isOpen ?? false;
}

export type ShardRow = {
  shardId: number;
  lo: number;
  hi: number;
  owner: string | null;
  epoch: number;
  expiresAt: Date | null;
  isLive: boolean;
};

/** All shards with their leases, for operators. Role platform or worker. */
export async function listShards(executor: Executor): Promise<ShardRow[]> {
  return rows(
    executor,
    sql<ShardRow>`
      select s.shard_id, s.lo, s.hi, l.owner, l.epoch, l.expires_at,
        coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as is_live
      from shards s join shard_leases l on l.shard_id = s.shard_id order by s.shard_id`,
  );
}

export type WorkerRow = {
  workerId: string;
  generation: number;
  capacity: number;
  draining: boolean;
  startedAt: Date;
  seenAt: Date;
  shards: number;
  isLive: boolean;
};

/** All known workers, for operators. Role platform or worker. */
export async function listWorkers(executor: Executor, ttlMs = LEASE_TTL_MS): Promise<WorkerRow[]> {
  return rows(
    executor,
    sql<WorkerRow>`
      select w.worker_id, w.generation, w.capacity, w.draining, w.started_at, w.seen_at,
        (select count(*) from shard_leases l where l.owner = w.worker_id) as shards,
        w.seen_at > clock_timestamp() - ${ttlMs}::bigint * interval '1 millisecond' as is_live
      from workers w order by w.started_at, w.worker_id`,
  );
}
