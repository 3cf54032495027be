/** The queue of notices: what is to be told to whom, and how it went. Role notify, but for the list. */
import type { WhatsappConfig } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import type { NotificationTry } from "../schema/notifications.ts";
import { type Count, countOf, keep } from "./counted.ts";

export type NewNotification = {
  companyNo: number;
  numberNo: number | null;
  eventId: string;
  kind: string;
  facts: Readonly<Record<string, unknown>>;
  attemptId: string | null;
  channel: "email" | "sms";
  address: string;
  /** Two spellings of one address have the same. */
  addressKey: string;
  provider: string | null;
  isUrgent: boolean;
  letterId: string;
  expiresAt: Date;
};

/** Queues notices, each once however often it is called; what is over already is left out. Returns how many are new. */
export async function queueNotifications(
  executor: Executor,
  notices: readonly NewNotification[],
  gatherMs: number,
): Promise<number> {
  if (notices.length === 0) return 0;
  return changed(
    executor,
    sql`insert into notifications (company_no, number_no, event_id, kind, facts, attempt_id, channel, address,
        address_key, provider, is_urgent, letter_id, due_at, expires_at)
      select n."companyNo", n."numberNo", n."eventId", n.kind, n.facts, n."attemptId", n.channel, n.address,
        n."addressKey", n.provider, n."isUrgent", n."letterId",
        clock_timestamp() + case when n."isUrgent" then 0 else ${gatherMs}::bigint end * interval '1 millisecond',
        n."expiresAt"
      from jsonb_to_recordset(${JSON.stringify(notices)}::jsonb) as n ("companyNo" int, "numberNo" int,
        "eventId" text, kind text, facts jsonb, "attemptId" text, channel text, address text, "addressKey" text,
        provider text, "isUrgent" boolean, "letterId" text, "expiresAt" timestamptz)
      where n."expiresAt" > clock_timestamp()
      on conflict (company_no, event_id, kind, channel, address_key) do nothing`,
  );
}

/** A notice that somebody claimed, with what is known of its company and number now. */
export type ClaimedNotification = {
  notificationNo: number;
  companyNo: number;
  companyId: string;
  company: string;
  language: string;
  timezone: string;
  companyPhone: string | null;
  /** Who is to be told, by the company's settings now. */
  adminEmail: string | null;
  notificationEmail: string | null;
  whatsappEnabled: boolean;
  whatsappConfig: WhatsappConfig;
  numberNo: number | null;
  numberId: string | null;
  numberName: string | null;
  numberPhone: string | null;
  /** Null: the number is gone. */
  status: string | null;
  attemptPhone: string | null;
  attemptId: string | null;
  kind: string;
  facts: Record<string, unknown>;
  channel: "email" | "sms";
  address: string;
  provider: string | null;
  isUrgent: boolean;
  letterId: string;
  isRepeat: boolean;
  attempts: number;
  tries: NotificationTry[];
  createdAt: Date;
  expiresAt: Date;
  /** By the clock of the database, by which codes end. */
  now: Date;
};

const millis = (ms: number) => sql`${ms}::bigint * interval '1 millisecond'`;

/** A claim without a note of its end: whoever had it is gone, and perhaps it was sent. */
const LEFT = sql`n.attempts > jsonb_array_length(n.tries)`;
const CLAIM = sql`attempts = n.attempts + 1, is_repeat = n.is_repeat or ${LEFT},
  tries = case when ${LEFT} then n.tries || jsonb_build_object('at', n.due_at, 'outcome', 'unknown', 'code', null,
    'latencyMs', 0) else n.tries end`;

const WITH_FACTS = sql`select n.notification_no, n.company_no, c.company_id, c.name as company, c.language, c.timezone,
    c.phone as company_phone, c.admin_email, c.notification_email, c.whatsapp_enabled, c.whatsapp_config, u.number_no, u.number_id, u.name as number_name, u.phone_e164 as number_phone, u.status,
    (select a.phone from pairing_attempts a where a.company_no = n.company_no and a.attempt_id = n.attempt_id)
      as attempt_phone,
    n.attempt_id, n.kind, n.facts, n.channel, n.address, n.provider, n.is_urgent, n.letter_id, n.is_repeat, n.attempts,
    n.tries, n.created_at, n.expires_at, clock_timestamp() as now
  from claimed n join companies c on c.company_no = n.company_no
  left join lateral (select u.number_no, u.number_id, u.name, u.phone_e164, u.status from numbers u where u.company_no = n.company_no
    and case when n.number_no is null then u.is_primary else u.number_no = n.number_no end) u on true
  order by n.notification_no`;

/** Takes what somebody waits for, for `claimMs`: each is a letter of its own. */
export async function claimUrgent(
  executor: Executor,
  { channel, limit, claimMs }: { channel: "email" | "sms"; limit: number; claimMs: number },
): Promise<ClaimedNotification[]> {
  return rows(
    executor,
    sql<ClaimedNotification>`with due as materialized (
        select notification_no from notifications
        where state = 'waiting' and is_urgent and channel = ${channel} and due_at <= clock_timestamp()
        order by due_at limit ${limit} for update skip locked
      ), claimed as (
        update notifications n set ${CLAIM}, due_at = clock_timestamp() + ${millis(claimMs)}
        from due where n.notification_no = due.notification_no returning n.*
      ) ${WITH_FACTS}`,
  );
}

export type DeskKey = { channel: "email" | "sms"; addressKey: string };

/** Readers for whom something operational is due. By channel: those of one must not hide those of the other. */
export async function dueDesks(
  executor: Executor,
  channel: DeskKey["channel"],
  limit: number,
): Promise<DeskKey[]> {
  return rows(
    executor,
    sql<DeskKey>`select channel, address_key from notifications
      where state = 'waiting' and not is_urgent and channel = ${channel} and due_at <= clock_timestamp()
      group by 1, 2 order by min(due_at) limit ${limit}`,
  );
}

/** What one reader had and what waits; `isTaken`: somebody writes to them now. */
export type DeskState = {
  firstWaitingAt: Date | null;
  lastSentAt: Date | null;
  sentToday: number;
  isTaken: boolean;
  now: Date;
};

/** Undefined: another notifier looks at this desk just now. Holds it until the transaction ends. */
export async function readDesk(
  tx: Tx,
  { channel, addressKey }: DeskKey,
): Promise<DeskState | undefined> {
  const lock = await firstRow(
    tx,
    sql<{ isMine: boolean }>`select pg_try_advisory_xact_lock(
      hashtextextended('notifications ' || ${channel} || ' ' || ${addressKey}, 0)) as is_mine`,
  );
  if (!lock?.isMine) return undefined;
  return firstRow(
    tx,
    sql<DeskState>`select w.first_waiting_at, s.last_sent_at, s.sent_today, coalesce(w.is_taken, false) as is_taken,
        clock_timestamp() as now
      from (select min(n.created_at) as first_waiting_at, bool_or(${LEFT} and n.due_at > clock_timestamp()) as is_taken
        from notifications n where n.channel = ${channel} and n.address_key = ${addressKey}
          and n.state = 'waiting' and not n.is_urgent) w,
      (select max(ended_at) as last_sent_at, count(distinct letter_id)::int as sent_today
        from notifications where channel = ${channel} and address_key = ${addressKey}
          and state = 'sent' and not is_urgent and ended_at > clock_timestamp() - interval '24 hours') s`,
  );
}

/** What waits for this reader is looked at again then. */
export async function postponeDesk(
  tx: Tx,
  { channel, addressKey }: DeskKey,
  until: Date,
): Promise<void> {
  await sql`update notifications set due_at = ${until}
    where channel = ${channel} and address_key = ${addressKey} and state = 'waiting' and not is_urgent
      and due_at <= clock_timestamp()`.execute(tx);
}

/**
 * Takes all that waits for one reader, for `claimMs`, as one letter. What a notifier left behind in the midst of sending
 * is taken first and alone: it goes again as the letter it was.
 */
export async function claimDesk(
  tx: Tx,
  { channel, addressKey }: DeskKey,
  { letterId, claimMs, limit }: { letterId: string; claimMs: number; limit: number },
): Promise<ClaimedNotification[]> {
  const mine = sql`n.channel = ${channel} and n.address_key = ${addressKey} and n.state = 'waiting'
    and not n.is_urgent`;
  return rows(
    tx,
    sql<ClaimedNotification>`with former as (
        select n.letter_id from notifications n where ${mine} and ${LEFT} and n.due_at <= clock_timestamp()
        order by n.notification_no limit 1
      ), due as materialized (
        select n.notification_no from notifications n where ${mine}
          and case when exists (select from former) then n.letter_id = (select letter_id from former) and ${LEFT}
            else not (${LEFT}) end
        order by n.notification_no limit ${limit} for update
      ), claimed as (
        update notifications n set ${CLAIM}, letter_id = coalesce((select letter_id from former), ${letterId}),
          due_at = clock_timestamp() + ${millis(claimMs)}
        from due where n.notification_no = due.notification_no returning n.*
      ) ${WITH_FACTS}`,
  );
}

/** `waiting`: it is tried again in `inMs`. */
export type NotificationFate =
  | { state: "sent" | "failed" | "over"; isRepeat?: boolean }
  | { state: "waiting"; inMs: number; isRepeat?: boolean };

/**
 * Notes how the sending of one letter ended, for each notice in it. `result` undefined: nothing was sent, and none is
 * counted. Returns how many it was still ours to settle.
 */
export async function settleNotifications(
  executor: Executor,
  claimed: readonly Pick<ClaimedNotification, "notificationNo" | "attempts">[],
  result: Omit<NotificationTry, "at"> | undefined,
  fate: NotificationFate,
): Promise<number> {
  const inMs = fate.state === "waiting" ? fate.inMs : 0;
  const error = result === undefined || result.outcome === "sent" ? null : result.outcome;
  return changed(
    executor,
    sql`update notifications n set state = ${fate.state}, is_repeat = n.is_repeat or ${fate.isRepeat ?? false},
        attempts = ${result === undefined ? sql`n.attempts - 1` : sql`n.attempts`},
        tries = ${result === undefined ? sql`n.tries` : sql`n.tries || (${JSON.stringify(result)}::jsonb || jsonb_build_object('at', clock_timestamp()))`},
        error = ${error}, latency_ms = ${result?.latencyMs ?? null},
        due_at = clock_timestamp() + ${millis(inMs)},
        ended_at = case when ${fate.state} <> 'waiting' then clock_timestamp() end
      from unnest(${claimed.map((one) => one.notificationNo)}::bigint[],
        ${claimed.map((one) => one.attempts)}::int[]) as m (notification_no, attempts)
      where n.notification_no = m.notification_no and n.attempts = m.attempts and n.state = 'waiting'`,
  );
}

/** What ended before it was sent. */
export async function endOverdueNotifications(executor: Executor): Promise<number> {
  return changed(
    executor,
    sql`update notifications set state = 'over', ended_at = clock_timestamp()
      where state = 'waiting' and due_at <= clock_timestamp() and expires_at <= clock_timestamp()`,
  );
}

export type NotificationRow = {
  notificationNo: number;
  kind: string;
  numberId: string | null;
  channel: "email" | "sms";
  address: string;
  state: "waiting" | "sent" | "failed" | "over";
  isRepeat: boolean;
  letterId: string;
  tries: NotificationTry[];
  createdAt: Date;
  endedAt: Date | null;
};

/** The newest first; those before `before`. Role app, in `withCompany`. */
export async function listNotifications(
  executor: Executor,
  companyNo: number,
  query: { numberNo?: number | undefined; before?: number | undefined; limit: number },
): Promise<NotificationRow[]> {
  return rows(
    executor,
    sql<NotificationRow>`select n.notification_no, n.kind, u.number_id, n.channel, n.address, n.state, n.is_repeat,
        n.letter_id, n.tries, n.created_at, n.ended_at
      from notifications n
      left join numbers u on u.company_no = n.company_no and u.number_no = n.number_no
      where n.company_no = ${companyNo}
        and (${query.numberNo ?? null}::int is null or n.number_no = ${query.numberNo ?? null})
        and n.notification_no < ${query.before ?? Number.MAX_SAFE_INTEGER}::bigint
      order by n.notification_no desc limit ${query.limit}`,
  );
}

/** Role worker. */
export async function deleteOldNotifications(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_notifications(${keep(keepMs)}) as count`);
}
