/** What operators see of workers, shards and the whole. Role platform. */
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import type { ShardMoveHow } from "../schema/shards.ts";
import { isLive, isOfLiveLease, LEASE_TTL_MS } from "./lease-rules.ts";

export type { ShardMoveHow } from "../schema/shards.ts";

export type WorkerRow = {
  workerId: string;
  host: string;
  version: string;
  generation: number;
  capacity: number;
  /** It says of itself that it takes nothing and hands over. */
  draining: boolean;
  /** An operator wants it to. */
  drainAsked: boolean;
  startedAt: Date;
  seenAt: Date;
  /** Seen within the lease time. */
  isLive: boolean;
  shards: number;
  weight: number;
  /** Its own figures, as of `seenAt`. */
  numbers: number;
  connected: number;
  opening: number;
  waiting: number;
};

/** All known workers, oldest first. */
export async function listWorkers(executor: Executor, ttlMs = LEASE_TTL_MS): Promise<WorkerRow[]> {
  return rows(
    executor,
    sql<WorkerRow>`
      select w.worker_id, w.host, w.version, w.generation, w.capacity, w.draining, w.drain_asked,
        w.started_at, w.seen_at, ${isLive(ttlMs)} as is_live, w.numbers, w.connected, w.opening, w.waiting,
        (select count(*) from shard_leases l where l.owner = w.worker_id) as shards,
        (select coalesce(sum(l.weight), 0) from shard_leases l where l.owner = w.worker_id) as weight
      from workers w order by w.started_at, w.worker_id`,
  );
}

export type ShardRow = {
  shardId: number;
  lo: number;
  hi: number;
  mapVersion: number;
  owner: string | null;
  epoch: number;
  /** The epoch in which its owner has begun to serve it; below `epoch`: not yet. */
  openEpoch: number;
  expiresAt: Date | null;
  isLive: boolean;
  /** Since when it has its owner, or, without one, when it was last claimed. */
  claimedAt: Date | null;
  releasedAt: Date | null;
  weight: number;
  /** Claims after the first one. */
  moves: number;
  pinnedTo: string | null;
  paused: boolean;
  splitAt: number | null;
  mergeNext: boolean;
  numbers: number;
  /** Numbers that are connected, as their present owner says; 0 without a live lease. */
  connected: number;
};

/** All shards with their leases and numbers. */
export async function listShards(executor: Executor): Promise<ShardRow[]> {
  return rows(
    executor,
    sql<ShardRow>`
      select s.shard_id, s.lo, s.hi, s.map_version, l.owner, l.epoch, l.open_epoch, l.expires_at,
        v.is_live, l.claimed_at, l.released_at, l.weight, l.moves, l.pinned_to, l.paused, l.split_at,
        l.merge_next, coalesce(n.numbers, 0) as numbers, coalesce(n.connected, 0) as connected
      from shards s join shard_leases l on l.shard_id = s.shard_id
      cross join lateral (
        select coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as is_live) v
      left join (
        select c.shard_id, count(*) as numbers,
          count(*) filter (where n.status = 'connected' and ${isOfLiveLease}) as connected
        from companies c join numbers n on n.company_no = c.company_no
        join shard_leases l on l.shard_id = c.shard_id group by c.shard_id
      ) n on n.shard_id = s.shard_id
      order by s.shard_id`,
  );
}

export type ShardMoveRow = {
  moveNo: number;
  shardId: number;
  epoch: number;
  workerId: string | null;
  previousWorkerId: string | null;
  how: ShardMoveHow;
  at: Date;
};

/** The last moves of all shards or of one, the newest first. */
export async function listShardMoves(
  executor: Executor,
  page: { shardId?: number | undefined; limit: number },
): Promise<ShardMoveRow[]> {
  const only = page.shardId === undefined ? sql`` : sql`where shard_id = ${page.shardId}`;
  return rows(
    executor,
    sql<ShardMoveRow>`
      select move_no, shard_id, epoch, worker_id, previous_worker_id, how, at
      from shard_moves ${only} order by move_no desc limit ${page.limit}`,
  );
}

/** Figures of the whole system. */
export type MetricsRow = {
  totalCompanies: number;
  totalNumbers: number;
  /** Numbers by the status that a caller sees, as `deriveStatus` of the gateway derives it. */
  connecting: number;
  disconnected: number;
  error: number;
  blocked: number;
  /** Linked numbers that shall be connected, of enabled companies, with or without an owner. */
  wantedSessions: number;
  /** Numbers of shards without a live lease. */
  ownerlessNumbers: number;
  /** Shards without a live lease, paused ones among them. */
  ownerlessShards: number;
  pausedShards: number;
  /** Connected, as their present owner says. */
  connectedSessions: number;
  /** Codes that can be typed at this moment. */
  pendingPairingCodes: number;
  /** Companies in their cooldown. */
  blockedCompanies: number;
  /** Mean of the last reconnection of each number that had one within a day; null: there was none. */
  averageReconnectMs: number | null;
  /** Attempts that linked a number, of those kept (30 days), by method. */
  qrLinks: number;
  codeLinks: number;
};

export async function readMetrics(executor: Executor): Promise<MetricsRow> {
  const row = await firstRow(
    executor,
    sql<MetricsRow>`
      with leases as (
        select shard_id, epoch, paused, coalesce(owner is not null and expires_at > clock_timestamp(), false) as is_live
        from shard_leases
      ), facts as (
        select n.status, n.provider = 'linked' as is_of_link, coalesce(l.is_live, false) as is_live,
          coalesce(l.is_live and n.status_epoch = l.epoch, false) as is_owners_word,
          exists (select 1 from auth_creds k
            where k.company_no = n.company_no and k.number_no = n.number_no) as is_linked,
          coalesce(r.blocked_until > clock_timestamp(), false) as is_block_ahead,
          c.whatsapp_enabled and n.desired_state = 'connected' as is_wanted
        from numbers n join companies c on c.company_no = n.company_no
        left join leases l on l.shard_id = c.shard_id
        left join whatsapp_rate_limits r on r.company_no = n.company_no
      ), seen as (
        select f.*, case
          when status = 'connected' and is_owners_word then 'connected'
          when is_block_ahead and is_of_link and not is_linked then 'blocked'
          when not is_live then 'disconnected'
          when status = 'connected' then 'connecting'
          when status = 'blocked' and not is_block_ahead then 'disconnected'
          else status end as shown
        from facts f
      )
      select (select count(*) from companies) as total_companies, of_numbers.*, of_shards.*,
        (select count(*) from pairing_attempts where method = 'code' and ended_at is null
          and secret is not null and expires_at > clock_timestamp()) as pending_pairing_codes,
        (select count(*) from whatsapp_rate_limits where blocked_until > clock_timestamp()) as blocked_companies,
        (select avg(last_reconnect_ms) from whatsapp_session_health
          where last_reconnect_at > clock_timestamp() - interval '1 day')::float8 as average_reconnect_ms,
        links.qr as qr_links, links.code as code_links
      from (select count(*) as total_numbers,
          count(*) filter (where shown = 'connected') as connected_sessions,
          count(*) filter (where shown = 'connecting') as connecting,
          count(*) filter (where shown = 'disconnected') as disconnected,
          count(*) filter (where shown = 'error') as error,
          count(*) filter (where shown = 'blocked') as blocked,
          count(*) filter (where is_of_link and is_linked and is_wanted) as wanted_sessions,
          count(*) filter (where not is_live) as ownerless_numbers
        from seen) of_numbers,
        (select count(*) filter (where not is_live) as ownerless_shards,
          count(*) filter (where paused) as paused_shards from leases) of_shards,
        (select count(*) filter (where method = 'qr') as qr, count(*) filter (where method = 'code') as code
          from pairing_attempts where outcome = 'succeeded') links`,
  );
  if (row === undefined) throw new Error("the figures could not be read");
  return row;
}
