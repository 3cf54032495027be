/** What an operator's lists show over all companies. Role platform. */
import { sql } from "kysely";
import { type Executor, firstRow, rows, type Tx } from "../open.ts";
import { ownerlessSince, ownerSince } from "./lease-rules.ts";
import { type NumberRow, numberColumns } from "./numbers.ts";

/** A number of any company with everything its status is derived from. */
export type SessionRow = NumberRow & {
  companyId: string;
  companyName: string;
  /** The shard has a live lease. */
  hasOwner: boolean;
  /** When the shard's owner took it; null: it has none. */
  ownerSince: Date | null;
  /** When the shard lost its owner; null: it has one, or never had. */
  ownerlessSince: Date | null;
  /** The end of the company's cooldown, if it lies ahead. */
  blockedUntil: Date | null;
  reconnectAttempts: number;
  lastSeenAt: Date | null;
  /** How long the last reconnection took, and when it was done. */
  lastReconnectMs: number | null;
  lastReconnectAt: Date | null;
  /** The clock of Postgres at the time of reading. */
  dbNow: Date;
};

/** Where a page of sessions begins: behind this number. */
export type SessionCursor = { companyNo: number; numberNo: number };

/** Numbers of all companies, or of one, in the order of their companies' creation. */
export async function listSessions(
  executor: Executor,
  page: { companyNo?: number | undefined; after?: SessionCursor | undefined; limit: number },
): Promise<SessionRow[]> {
  const { companyNo = null, after = { companyNo: 0, numberNo: 0 }, limit } = page;
  return rows(
    executor,
    sql<SessionRow>`
      select ${numberColumns}, c.company_id, c.name as company_name,
        coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner,
        ${ownerSince} as owner_since, ${ownerlessSince} as ownerless_since,
        case when r.blocked_until > clock_timestamp() then r.blocked_until end as blocked_until,
        coalesce(h.reconnect_attempts, 0) as reconnect_attempts,
        h.last_seen as last_seen_at, h.last_reconnect_ms, h.last_reconnect_at,
        clock_timestamp() as db_now
      from numbers n
      join companies c on c.company_no = n.company_no
      left join shard_leases l on l.shard_id = c.shard_id
      left join whatsapp_rate_limits r on r.company_no = n.company_no
      left join whatsapp_session_health h on h.company_no = n.company_no and h.number_no = n.number_no
      where (n.company_no, n.number_no) > (${after.companyNo}, ${after.numberNo})
        and (${companyNo}::int is null or n.company_no = ${companyNo}::int)
      order by n.company_no, n.number_no limit ${limit}`,
  );
}

/** The companies of a shard that has some. */
export type ShardCompanies = {
  shardId: number;
  companies: number;
  firstCompanyId: string;
  lastCompanyId: string;
};

/** Counts each shard's companies and names the first and the last; shards without any are left out. */
export async function listShardCompanies(
  executor: Executor,
  shardId?: number,
): Promise<ShardCompanies[]> {
  return rows(
    executor,
    sql<ShardCompanies>`
      select s.shard_id, s.companies, f.company_id as first_company_id, t.company_id as last_company_id
      from (
        select shard_id, count(*) as companies, min(company_no) as first_no, max(company_no) as last_no
        from companies where ${shardId ?? null}::int is null or shard_id = ${shardId ?? null}::int
        group by shard_id
      ) s
      join companies f on f.company_no = s.first_no
      join companies t on t.company_no = s.last_no
      order by s.shard_id`,
  );
}

/**
 * The company at which the upper half of a shard begins, by numbers (companies without any count a
 * little). Undefined when the shard has fewer than two companies.
 */
export async function middleOfShard(
  executor: Executor,
  shardId: number,
): Promise<number | undefined> {
  const row = await firstRow(
    executor,
    sql<{ companyNo: number }>`
      with weighed as (
        select c.company_no, 1000 * count(n.number_no) + 1 as weight
        from companies c left join numbers n on n.company_no = c.company_no
        where c.shard_id = ${shardId} group by c.company_no
      ), summed as (
        select company_no, sum(weight) over (order by company_no) - weight as below,
          sum(weight) over () as total
        from weighed
      )
      select company_no from summed where below > 0 order by abs(2 * below - total), company_no limit 1`,
  );
  return row?.companyNo;
}

/** The shard and the place of a company. */
export async function shardOfCompany(
  executor: Executor,
  companyId: string,
): Promise<{ companyNo: number; shardId: number } | undefined> {
  return firstRow(
    executor,
    sql<{ companyNo: number; shardId: number }>`
      select company_no, shard_id from companies where company_id = ${companyId}`,
  );
}

/** Outer ids of companies, by their number; those that are gone are left out. */
export async function companyIdsOf(
  executor: Executor,
  companyNos: readonly number[],
): Promise<Map<number, string>> {
  const found = await rows(
    executor,
    sql<{ companyNo: number; companyId: string }>`
      select company_no, company_id from companies where company_no = any (${[...companyNos]}::int[])`,
  );
  return new Map(found.map(({ companyNo, companyId }) => [companyNo, companyId]));
}

/** Outer ids of numbers, by their number; those that are gone are left out. */
export async function numberIdsOf(
  executor: Executor,
  numberNos: readonly number[],
): Promise<Map<number, string>> {
  const found = await rows(
    executor,
    sql<{ numberNo: number; numberId: string }>`
      select number_no, number_id from numbers where number_no = any (${[...numberNos]}::int[])`,
  );
  return new Map(found.map(({ numberNo, numberId }) => [numberNo, numberId]));
}

/**
 * Until the end of the transaction nobody else starts a job of this kind, so that `createJob` sees what
 * the one before it took.
 */
export async function lockJobs(tx: Tx, kind: string): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('jobs'), hashtext(${kind}))`.execute(tx);
}

/** The numbers inside of companies named by their outer ids; ids nobody has are left out. */
export async function companyNosOf(
  executor: Executor,
  companyIds: readonly string[],
): Promise<Map<string, number>> {
  const found = await rows(
    executor,
    sql<{ companyNo: number; companyId: string }>`
      select company_no, company_id from companies where company_id = any (${[...companyIds]}::text[])`,
  );
  return new Map(found.map(({ companyNo, companyId }) => [companyId, companyNo]));
}
