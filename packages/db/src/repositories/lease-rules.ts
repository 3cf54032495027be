/** The conditions of the lease algorithm that several statements share. */
import { sql } from "kysely";

/** A lease lasts this long unless the caller says otherwise, milliseconds. */
export const LEASE_TTL_MS = 10_000;

/** How long a released shard is offered to the newest generation before the others may take it. */
const NEWEST_FIRST_MS = 2_000;

const milliseconds = (ms: number) => sql`${ms}::bigint * interval '1 millisecond'`;

/** From now, by the clock of Postgres. */
export function inMs(ms: number) {
  return sql`clock_timestamp() + ${milliseconds(ms)}`;
}

/** A worker `w` was seen within the lease time. */
export function isLive(ttlMs: number) {
  return sql`w.seen_at > clock_timestamp() - ${milliseconds(ttlMs)}`;
}

/** A worker `w` is live and takes shards. */
export function isTaking(ttlMs: number) {
  return sql`(${isLive(ttlMs)} and not w.draining and not w.drain_asked)`;
}

/**
 * The shard of a lease `l` may be taken by the worker of `me` (host, newest generation or not): nobody owns
 * it, or its owner let the lease run out; it is not paused, not pinned to the live host of somebody else,
 * and not just released while a newer generation is there. `hosts` are those of the workers that take.
 */
export function isClaimable(workerId: string) {
  return sql`(not l.paused
    and case when l.owner is null
      then me.is_newest or l.released_at is null
        or l.released_at < clock_timestamp() - ${milliseconds(NEWEST_FIRST_MS)}
      else l.owner <> ${workerId} and l.expires_at < clock_timestamp() end
    and (l.pinned_to is null or l.pinned_to = me.host
      or not exists (select 1 from takers t where t.host = l.pinned_to)))`;
}

/** `takers`: the workers that take shards; `me`: the named one among them, and whether none is of a newer generation. */
export function takersAndMe(workerId: string, ttlMs: number) {
  return sql`takers as materialized (
      select w.worker_id, w.host, w.generation, w.capacity, w.started_at from workers w
      where ${isTaking(ttlMs)}
    ), me as materialized (
      select w.worker_id, w.host, w.capacity,
        not exists (select 1 from takers t where t.generation > w.generation) as is_newest
      from workers w where w.worker_id = ${workerId}
    )`;
}

/**
 * What is stored of a number `n` was written under the lease `l` of its shard, and the lease is live. A new owner
 * has a higher epoch than whatever was written before it, also in a shard that was split or merged.
 */
export const isOfLiveLease = sql.raw(
  "n.status_epoch = l.epoch and l.owner is not null and l.expires_at > clock_timestamp()",
);

/** Of `shard_leases l`: since when it has the owner it has; null without one. */
export const ownerSince = sql<Date | null>`case when l.owner is not null then l.claimed_at end`;

/** Of `shard_leases l`: since when nobody has it; null while a lease is live. */
export const ownerlessSince = sql<Date | null>`case
  when l.owner is null or l.expires_at <= clock_timestamp() then coalesce(l.released_at, l.expires_at) end`;
