import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";
import { inMs, isClaimable, isTaking, LEASE_TTL_MS, takersAndMe } from "./lease-rules.ts";

export { LEASE_TTL_MS } from "./lease-rules.ts";

export type HeldShard = { shardId: number; epoch: number };

/**
 * What an operator wants of a shard that the worker owns. `release`: it is paused, or pinned to another live
 * host. `split`: the companies from `at` on become a shard of their own. `merge`: `upper`, the shard right
 * above, which is the worker's own too, becomes part of this one.
 */
export type ShardWish =
  | { kind: "release" }
  | { kind: "split"; at: number }
  | { kind: "merge"; upper: number };

export type OwnedShard = HeldShard & {
  weight: number;
  /** Pinned to the worker's host: not to be given away for balance, since nobody else may take it. */
  isBound: boolean;
  wish: ShardWish | null;
};

/** The worker's sessions, for operators: owned, connected, being opened, waiting for their turn. */
export type WorkerReport = {
  numbers: number;
  connected: number;
  opening: number;
  waiting: number;
};

export type Renewal = {
  /** False: its row was deleted; it does not count for the fair share until it registers again. */
  isRegistered: boolean;
  /** An operator wants the worker to hand over everything and take nothing. */
  isDrainAsked: boolean;
  shards: OwnedShard[];
};

type RenewedRow = {
  isRegistered: boolean;
  isDrainAsked: boolean;
  shardId: number | null;
  epoch: number;
  weight: number;
  isBound: boolean;
  isToRelease: boolean;
  splitAt: number | null;
  upper: number | null;
};

/**
 * Heartbeat, renewal of everything the worker owns, its report and the weights of its shards, in one
 * statement; it locks in the order of shard_id. What is not returned is lost: drop it. Whether a lease had
 * run out does not matter as long as nobody took it over. Run it on a connection of its own, and count the
 * deadline from before the call. `weights`: of the shards named; others keep theirs.
 */
export async function renewLeases(
  executor: Executor,
  workerId: string,
  options: {
    ttlMs?: number;
    draining: boolean;
    report: WorkerReport;
    weights: ReadonlyMap<number, number>;
  },
): Promise<Renewal> {
  const { ttlMs = LEASE_TTL_MS, draining, report, weights } = options;
  const weightsOf = [...weights.values()].map((weight) => Math.max(1, Math.round(weight)));
  const found = await rows(
    executor,
    sql<RenewedRow>`
      with beat as (
        update workers set seen_at = clock_timestamp(), draining = ${draining},
          numbers = ${report.numbers}, connected = ${report.connected}, opening = ${report.opening},
          waiting = ${report.waiting}
        where worker_id = ${workerId}
        returning host, drain_asked
      ), mine as materialized (
        select shard_id from shard_leases where owner = ${workerId}
        order by shard_id for no key update
      ), renewed as (
        update shard_leases l set expires_at = ${inMs(ttlMs)}, weight = coalesce(w.weight, l.weight)
        from mine
        left join unnest(${[...weights.keys()]}::int[], ${weightsOf}::int[]) as w (shard_id, weight)
          on w.shard_id = mine.shard_id
        where l.shard_id = mine.shard_id and l.owner = ${workerId}
        returning l.shard_id, l.epoch, l.weight, l.paused, l.pinned_to, l.split_at, l.merge_next
      )
      select beat.host is not null as is_registered, coalesce(beat.drain_asked, false) as is_drain_asked,
        r.shard_id, r.epoch, r.weight, coalesce(r.pinned_to = beat.host, false) as is_bound,
        coalesce(r.paused or (r.pinned_to <> beat.host and exists (
          select 1 from workers w where w.host = r.pinned_to and ${isTaking(ttlMs)})), false) as is_to_release,
        case when r.split_at is not null then (select r.split_at from shards s
          where s.shard_id = r.shard_id and s.lo < r.split_at and r.split_at < s.hi) end as split_at,
        case when r.merge_next then (select u.shard_id from shards s
          join shards u on u.lo = s.hi join shard_leases lu on lu.shard_id = u.shard_id
          where s.shard_id = r.shard_id and lu.owner = ${workerId}) end as upper
      from (select 1) as one left join beat on true left join renewed r on true
      order by r.shard_id`,
  );
  const [first] = found;
  return {
    isRegistered: first?.isRegistered ?? false,
    isDrainAsked: first?.isDrainAsked ?? false,
    shards: found.flatMap((row) => {
      const { shardId, epoch, weight, isBound } = row;
      return shardId === null ? [] : [{ shardId, epoch, weight, isBound, wish: wishOf(row) }];
    }),
  };
}

function wishOf({ isToRelease, splitAt, upper }: RenewedRow): ShardWish | null {
  if (isToRelease) return { kind: "release" };
  if (splitAt !== null) return { kind: "split", at: splitAt };
  return upper === null ? null : { kind: "merge", upper };
}

/**
 * The figures a worker needs to find its fair share, which is `totalWeight * myCapacity / liveCapacity`.
 * Paused shards do not count; live workers were seen within the lease time and do not drain.
 */
export type Shares = {
  totalWeight: number;
  myWeight: number;
  myShards: number;
  /** Shards I may claim now: free or expired, not paused, not pinned to another live host. Also while I drain. */
  claimable: number;
  /** Those of them whose owner let the lease run out. */
  expired: number;
  liveWorkers: number;
  /** Sum of their capacities, mine included if I am one of them. */
  liveCapacity: number;
  /** Of the live workers that are there for a lease time, and so may take expired leases. */
  ableCapacity: number;
  myCapacity: number;
  /** Workers of several generations are there, draining ones too: a roll-out goes on. */
  isMixed: boolean;
  /** How long the oldest live worker of the newest generation has been there; 0 without any. */
  newestAgeMs: number;
  /** Another live worker has less than its share. */
  hasTaker: boolean;
};

/** Reads the shares as `workerId` sees them. One statement; role worker or platform. */
export async function readShares(
  executor: Executor,
  workerId: string,
  ttlMs = LEASE_TTL_MS,
): Promise<Shares> {
  const row = await firstRow(
    executor,
    sql<Shares>`
      with ${takersAndMe(workerId, ttlMs)}, leases as materialized (
        select l.owner, l.weight, l.paused, coalesce(${isClaimable(workerId)}, false) as is_claimable
        from shard_leases l left join me on true
      ), figures as materialized (
        select
          (select coalesce(sum(weight), 0) from leases where not paused) as total_weight,
          (select coalesce(sum(capacity), 0) from takers) as live_capacity
      )
      select f.total_weight::float8 as total_weight, f.live_capacity::float8 as live_capacity,
        (select coalesce(sum(weight), 0) from leases where owner = ${workerId} and not paused)::float8 as my_weight,
        (select count(*) from leases where owner = ${workerId}) as my_shards,
        (select count(*) from leases where is_claimable) as claimable,
        (select count(*) from leases where is_claimable and owner is not null) as expired,
        (select coalesce(sum(capacity), 0) from takers
          where started_at < clock_timestamp() - ${ttlMs}::bigint * interval '1 millisecond')::float8 as able_capacity,
        (select count(*) from takers) as live_workers,
        coalesce((select capacity from me), 0) as my_capacity,
        (select count(distinct w.generation) > 1 from workers w
          where w.seen_at > clock_timestamp() - ${ttlMs}::bigint * interval '1 millisecond') as is_mixed,
        coalesce((select extract(epoch from clock_timestamp() - min(started_at)) * 1000 from takers
          where generation = (select max(generation) from takers)), 0)::float8 as newest_age_ms,
        exists (select 1 from takers t where t.worker_id <> ${workerId}
          and (select coalesce(sum(weight), 0) from leases where owner = t.worker_id and not paused)
            < f.total_weight::float8 * t.capacity / f.live_capacity) as has_taker
      from figures f`,
  );
  if (row === undefined) throw new Error("the shares could not be read");
  return row;
}

/**
 * Takes shards that `isClaimable` allows; each gets a new epoch and a row in shard_moves. Those pinned to the
 * worker's host come first, whatever they weigh, then released ones, then expired ones, until what it took
 * reaches `maxWeight` (so it may take one too many), and at most `limit`. `mayTakeExpired`: only for a worker
 * whose own renewals went through without a gap for a whole lease time. A draining worker takes nothing.
 * What another call looks at this moment is skipped, not waited for. Raise the fences next.
 */
export async function claimShards(
  executor: Executor,
  workerId: string,
  options: { maxWeight?: number; limit: number; ttlMs?: number; mayTakeExpired: boolean },
): Promise<HeldShard[]> {
  const { maxWeight = Number.POSITIVE_INFINITY, limit, ttlMs = LEASE_TTL_MS } = options;
  if (limit <= 0) return [];
  return rows(
    executor,
    sql<HeldShard>`
      with ${takersAndMe(workerId, ttlMs)}, free as materialized (
        select l.shard_id, l.owner, l.epoch, l.weight,
          coalesce(l.pinned_to = me.host, false) as is_pinned
        from shard_leases l join me on true join takers t on t.worker_id = me.worker_id
        where ${isClaimable(workerId)} and (l.owner is null or ${options.mayTakeExpired})
        order by is_pinned desc, l.owner is not null, l.shard_id
        limit ${limit} for update of l skip locked
      ), summed as (
        select f.*, coalesce(sum(f.weight) over (order by f.is_pinned desc, f.owner is not null, f.shard_id
          rows between unbounded preceding and 1 preceding), 0) as before
        from free f
      ), claimed as (
        update shard_leases l
        set owner = ${workerId}, epoch = l.epoch + 1, released_at = null, expires_at = ${inMs(ttlMs)},
          claimed_at = clock_timestamp(), moves = l.moves + case when l.epoch > 0 then 1 else 0 end
        from summed s
        where l.shard_id = s.shard_id and (s.is_pinned or s.before < ${maxWeight}::float8)
        returning l.shard_id, l.epoch, s.owner as previous
      ), noted as (
        insert into shard_moves (shard_id, epoch, worker_id, previous_worker_id, how)
        select c.shard_id, c.epoch, ${workerId}, coalesce(c.previous, (select m.worker_id from shard_moves m
            where m.shard_id = c.shard_id order by m.move_no desc limit 1)),
          case when c.previous is null then 'claimed' else 'taken_over' end
        from claimed c
      )
      select shard_id, epoch from claimed order by shard_id`,
  );
}

/**
 * Gives shards back (all of the worker's, if none are named), after their connections are closed: those that
 * are its own in the named epoch, since a call that was given up may run later, when it has claimed them
 * anew. Returns what was. Poke `LEASE_POKE` afterwards.
 */
export async function releaseShards(
  executor: Executor,
  workerId: string,
  shards?: readonly HeldShard[],
): Promise<number[]> {
  const all = shards === undefined;
  const ids = (shards ?? []).map(({ shardId }) => shardId);
  const epochs = (shards ?? []).map(({ epoch }) => epoch);
  const released = await rows(
    executor,
    sql<{ shardId: number }>`
      with mine as materialized (
        select l.shard_id from shard_leases l
        where l.owner = ${workerId} and (${all}::boolean or exists (
          select 1 from unnest(${ids}::int[], ${epochs}::bigint[]) as w (shard_id, epoch)
          where w.shard_id = l.shard_id and w.epoch = l.epoch))
        order by l.shard_id for no key update
      )
      update shard_leases l set owner = null, expires_at = null, released_at = clock_timestamp()
      from mine where l.shard_id = mine.shard_id and l.owner = ${workerId}
      returning l.shard_id`,
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
