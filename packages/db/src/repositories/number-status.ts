/** What the owner of a number notes of its session, under its fence: the status and how it fares. */
import type { SessionReason, SessionStatus } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, firstRow, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";

export type StatusChange = {
  status: SessionStatus;
  reason: SessionReason;
  since: Date;
  /** When it ends by itself; left out: not known. */
  until?: Date | null | undefined;
  /** The phone that linked. */
  phone?: string;
  lastConnectedAt?: Date;
};

/**
 * Stores the status of a number, in a fenced transaction, and returns the one before. The database notes the
 * fence's epoch with it, which makes it this owner's word (`NumberRow.isOwnersWord`).
 */
export async function setNumberStatus(
  tx: Tx,
  fence: Fence,
  change: StatusChange,
): Promise<{ previousStatus: SessionStatus; previousReason: SessionReason }> {
  const row = await firstRow(
    tx,
    sql<{ previousStatus: SessionStatus; previousReason: SessionReason }>`
      with before as (
        select company_no, number_no, status, reason from numbers
        where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} for no key update
      )
      update numbers n set status = ${change.status}, reason = ${change.reason}, since = ${change.since},
        until = ${change.until ?? null},
        phone_e164 = coalesce(${change.phone ?? null}::text, n.phone_e164),
        last_connected_at = coalesce(${change.lastConnectedAt ?? null}::timestamptz, n.last_connected_at)
      from before where n.company_no = before.company_no and n.number_no = before.number_no
      returning before.status as previous_status, before.reason as previous_reason`,
  );
  if (row === undefined) throw new Error("a status was set outside its fenced transaction");
  return row;
}

export type StoredStatus = {
  status: SessionStatus;
  reason: SessionReason;
  until: Date | null;
  phone: string | null;
  statusEpoch: number;
};

/** What is stored of a number's status, its row locked until the end of the transaction. Role worker. */
export async function lockStatus(tx: Tx, fence: Fence): Promise<StoredStatus | undefined> {
  return firstRow(
    tx,
    sql<StoredStatus>`select status, reason, until, phone_e164 as phone, status_epoch from numbers
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} for no key update`,
  );
}

/**
 * The same for many numbers, each once, in one statement, in a `fencedBatch` that holds them all.
 * Rows are locked in the order of their key.
 */
export async function setNumberStatuses(
  tx: Tx,
  changes: readonly (StatusChange & { fence: Fence })[],
): Promise<void> {
  if (changes.length === 0) return;
  const count = await changed(
    tx,
    sql`with wanted as materialized (
        select * from unnest(${companiesOf(changes)}::int[], ${numbersOf(changes)}::int[],
          ${changes.map(({ status }) => status)}::text[], ${changes.map(({ reason }) => reason)}::text[],
          ${changes.map(({ since }) => since)}::timestamptz[],
          ${changes.map(({ until }) => until ?? null)}::timestamptz[],
          ${changes.map(({ phone }) => phone ?? null)}::text[],
          ${changes.map(({ lastConnectedAt }) => lastConnectedAt ?? null)}::timestamptz[])
          as w (company_no, number_no, status, reason, since, until, phone, last_connected_at)
      ), locked as materialized (
        select n.company_no, n.number_no from numbers n
        join wanted w on w.company_no = n.company_no and w.number_no = n.number_no
        order by n.company_no, n.number_no for no key update of n
      )
      update numbers n set status = w.status, reason = w.reason, since = w.since, until = w.until,
        phone_e164 = coalesce(w.phone, n.phone_e164),
        last_connected_at = coalesce(w.last_connected_at, n.last_connected_at)
      from locked k join wanted w on w.company_no = k.company_no and w.number_no = k.number_no
      where n.company_no = k.company_no and n.number_no = k.number_no`,
  );
  if (count < changes.length) throw new Error("a status was set outside its fenced transaction");
}

export type HealthChange = {
  status: SessionStatus;
  reconnectAttempts: number;
  lastSeenAt: Date | null;
  disconnectReason?: string | null;
  details?: Record<string, unknown>;
  /** The number is connected again, after it was away for so long, milliseconds. */
  reconnectMs?: number;
};

/**
 * Notes how the connection fares, in a fenced transaction: only when something changed, or when it was
 * last seen a minute later than stored. Returns whether a row was written.
 */
export async function setHealth(tx: Tx, fence: Fence, health: HealthChange): Promise<boolean> {
  return (await writeHealths(tx, [{ ...health, fence }])) > 0;
}

/** The same for many numbers, each once, in one statement, in a `fencedBatch` that holds them all. */
export async function setHealths(
  tx: Tx,
  changes: readonly (HealthChange & { fence: Fence })[],
): Promise<void> {
  if (changes.length > 0) await writeHealths(tx, changes);
}

async function writeHealths(
  tx: Tx,
  changes: readonly (HealthChange & { fence: Fence })[],
): Promise<number> {
  const reconnectMs = changes.map((one) =>
    one.reconnectMs === undefined ? null : Math.round(one.reconnectMs),
  );
  return changed(
    tx,
    sql`insert into whatsapp_session_health as h (company_no, number_no, status, disconnect_reason,
        reconnect_attempts, last_seen, details, last_reconnect_ms, last_reconnect_at)
      select w.company_no, w.number_no, w.status, w.disconnect_reason, w.attempts, w.last_seen, w.details::jsonb,
        w.reconnect_ms, case when w.reconnect_ms is not null then clock_timestamp() end
      from unnest(${companiesOf(changes)}::int[], ${numbersOf(changes)}::int[],
        ${changes.map(({ status }) => status)}::text[],
        ${changes.map(({ disconnectReason }) => disconnectReason ?? null)}::text[],
        ${changes.map(({ reconnectAttempts }) => reconnectAttempts)}::int[],
        ${changes.map(({ lastSeenAt }) => lastSeenAt)}::timestamptz[],
        ${changes.map(({ details }) => JSON.stringify(details ?? {}))}::text[], ${reconnectMs}::int[])
        as w (company_no, number_no, status, disconnect_reason, attempts, last_seen, details, reconnect_ms)
      order by w.company_no, w.number_no
      on conflict (company_no, number_no) do update set status = excluded.status,
        disconnect_reason = excluded.disconnect_reason, reconnect_attempts = excluded.reconnect_attempts,
        last_seen = coalesce(excluded.last_seen, h.last_seen), details = excluded.details,
        last_reconnect_ms = coalesce(excluded.last_reconnect_ms, h.last_reconnect_ms),
        last_reconnect_at = coalesce(excluded.last_reconnect_at, h.last_reconnect_at),
        updated_at = clock_timestamp()
      where (h.status, h.disconnect_reason, h.reconnect_attempts, h.details) is distinct from
          (excluded.status, excluded.disconnect_reason, excluded.reconnect_attempts, excluded.details)
        or excluded.last_reconnect_ms is not null
        or excluded.last_seen > coalesce(h.last_seen, '-infinity') + interval '1 minute'`,
  );
}

function companiesOf(changes: readonly { fence: Fence }[]): number[] {
  return changes.map(({ fence }) => fence.companyNo);
}

function numbersOf(changes: readonly { fence: Fence }[]): number[] {
  return changes.map(({ fence }) => fence.numberNo);
}
