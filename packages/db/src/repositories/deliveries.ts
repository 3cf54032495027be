/** The queue of each endpoint: what is to be delivered, what became of it, and how it is had again. */
import type { Envelope } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

export type QueuedEvent = {
  eventId: string;
  companyId: string;
  type: string;
  /** The words by which a subscription may ask for it. */
  filters: readonly string[];
  chat: string | null;
  seq: number | null;
  /** Of the event: what happened before somebody subscribed is not for them. */
  at: Date;
  /** Something before it in its chat has not come yet: so long it waits for that. */
  holdMs: number;
};

export type QueueKey = { companyNo: number; subscriptionId: string };

/**
 * Queues events for whoever subscribes to them, once however often it is called. Returns the queues that have
 * something new. Role notify.
 */
export async function queueDeliveries(
  executor: Executor,
  events: readonly QueuedEvent[],
): Promise<QueueKey[]> {
  return rows(
    executor,
    sql<QueueKey>`with queued as (
        insert into deliveries (company_no, subscription_id, event_id, type, chat, seq, due_at)
        select s.company_no, s.subscription_id, e.event_id, e.type, e.chat,
          case when e.chat is not null then coalesce(e.seq, 0) end,
          clock_timestamp() + e.hold_ms * interval '1 millisecond'
        from unnest(${events.map((one) => one.eventId)}::text[],
          ${events.map((one) => one.companyId)}::text[], ${events.map((one) => one.type)}::text[],
          ${events.map((one) => one.filters.join(" "))}::text[],
          ${events.map((one) => one.chat)}::text[], ${events.map((one) => one.seq)}::bigint[],
          ${events.map((one) => one.at)}::timestamptz[], ${events.map((one) => one.holdMs)}::int[])
          with ordinality as e (event_id, company_id, type, filters, chat, seq, at, hold_ms, place)
        join companies c on c.company_id = e.company_id
        join webhook_subscriptions s on s.company_no = c.company_no and s.is_enabled
          and s.events && string_to_array(e.filters, ' ')
          and e.at > s.created_at - interval '1 second'
        order by e.place
        on conflict (company_no, subscription_id, event_id) do nothing
        returning company_no, subscription_id
      ) select distinct company_no, subscription_id from queued`,
  );
}

/** What was held for something before it that has come now: up to `seq`. Role notify. */
export async function releaseDeliveries(
  executor: Executor,
  chats: readonly { companyId: string; chat: string; seq: number }[],
): Promise<void> {
  await sql`update deliveries d set due_at = clock_timestamp()
    from unnest(${chats.map((one) => one.companyId)}::text[], ${chats.map((one) => one.chat)}::text[],
      ${chats.map((one) => one.seq)}::bigint[]) as e (company_id, chat, seq)
      join companies c on c.company_id = e.company_id
      join webhook_subscriptions s on s.company_no = c.company_no
    where d.company_no = c.company_no and d.subscription_id = s.subscription_id and d.chat = e.chat
      and d.state = 'waiting' and not d.is_late and d.seq <= e.seq
      and d.attempts = 0 and d.due_at > clock_timestamp()`.execute(executor);
}

/** `envelope` null: the log does not hold the event any more. `attempts` counts this one. */
export type ClaimedDelivery = {
  deliveryNo: number;
  eventId: string;
  type: string;
  attempts: number;
  isLate: boolean;
  firstTriedAt: Date;
  envelope: Envelope | null;
};

/** A look at a long queue goes so far: what is behind a chat that waits for its first is found when that has gone. */
const LOOKED_AT = 1_000;

/**
 * Takes what is due at one endpoint, for `claimMs`; whoever does not settle it by then loses it. Of each chat only the
 * first that waits, in the order of `seq`, until that has stepped aside. Role notify.
 */
export async function claimDeliveries(
  executor: Executor,
  { companyNo, subscriptionId }: QueueKey,
  { limit, claimMs }: { limit: number; claimMs: number },
): Promise<ClaimedDelivery[]> {
  return rows(
    executor,
    sql<ClaimedDelivery>`with first as materialized (
        select d.delivery_no, d.chat, d.seq, d.is_late, d.due_at from deliveries d
        where d.company_no = ${companyNo} and d.subscription_id = ${subscriptionId}
          and d.state = 'waiting' and d.due_at <= clock_timestamp()
          and exists (select from webhook_subscriptions s where s.company_no = d.company_no
            and s.subscription_id = d.subscription_id and s.is_enabled
            and (s.next_try_at is null or s.next_try_at <= clock_timestamp()))
        order by d.due_at limit ${LOOKED_AT}
      ), due as materialized (
        select d.delivery_no from first f join deliveries d on d.delivery_no = f.delivery_no
        where d.state = 'waiting' and d.due_at <= clock_timestamp()
          and (f.chat is null or f.is_late or not exists (select from deliveries b
            where b.company_no = ${companyNo} and b.subscription_id = ${subscriptionId}
              and b.chat = f.chat and b.state = 'waiting' and not b.is_late
              and (b.seq, b.delivery_no) < (f.seq, f.delivery_no)))
        order by f.due_at, f.delivery_no limit ${limit} for update of d skip locked
      ), claimed as (
        update deliveries d set attempts = d.attempts + 1,
          due_at = clock_timestamp() + ${claimMs}::bigint * interval '1 millisecond',
          first_tried_at = coalesce(d.first_tried_at, clock_timestamp())
        from due where d.delivery_no = due.delivery_no
        returning d.delivery_no, d.company_no, d.event_id, d.type, d.attempts, d.is_late, d.first_tried_at
      )
      select c.delivery_no, c.event_id, c.type, c.attempts, c.is_late, c.first_tried_at,
        (select e.envelope from whatsapp_events e
          where e.company_no = c.company_no and e.event_id = c.event_id limit 1) as envelope
      from claimed c order by c.delivery_no`,
  );
}

/** Queues of enabled endpoints that have something due and may be called. Role notify. */
export async function dueQueues(executor: Executor): Promise<QueueKey[]> {
  return rows(
    executor,
    sql<QueueKey>`select s.company_no, s.subscription_id from webhook_subscriptions s
      where s.is_enabled and (s.next_try_at is null or s.next_try_at <= clock_timestamp())
        and exists (select from deliveries d where d.company_no = s.company_no
          and d.subscription_id = s.subscription_id and d.state = 'waiting'
          and d.due_at <= clock_timestamp())`,
  );
}

/** `status` null: there was no answer, and `error` says why. */
export type Attempt = { status: number | null; error: string | null; latencyMs: number };

/**
 * `delivered`, or when it is tried again, or never. `gone`: there is nothing to deliver any more, which is not the
 * endpoint's fault. `isLate`: it steps aside. `pauseMs`: how long the endpoint is left alone.
 */
export type Fate =
  | { kind: "delivered" }
  | { kind: "again"; inMs: number; isLate: boolean; pauseMs: number }
  | { kind: "dead"; pauseMs: number }
  | { kind: "gone" };

/**
 * Notes how an attempt ended, for the delivery and for its endpoint. False: the claim was lost, somebody else settles
 * it. Role notify.
 */
export async function settleDelivery(
  executor: Executor,
  { companyNo, subscriptionId }: QueueKey,
  { deliveryNo, attempts }: Pick<ClaimedDelivery, "deliveryNo" | "attempts">,
  { status, error, latencyMs }: Attempt,
  fate: Fate,
): Promise<boolean> {
  const state = { delivered: "delivered", again: "waiting", dead: "dead", gone: "dead" }[fate.kind];
  const isLate = fate.kind === "again" && fate.isLate;
  const inMs = fate.kind === "again" ? fate.inMs : 0;
  const row = await firstRow(
    executor,
    sql<{ isSettled: boolean }>`with settled as (
        update deliveries set state = ${state}, is_late = is_late or ${isLate}, status = ${status},
          error = ${error}, latency_ms = ${latencyMs},
          due_at = clock_timestamp() + ${inMs}::bigint * interval '1 millisecond',
          ended_at = case when ${state} <> 'waiting' then clock_timestamp() end
        where delivery_no = ${deliveryNo} and attempts = ${attempts} and state = 'waiting'
        returning 1
      ), noted as (
        update webhook_subscriptions set ${healthAfter({ status, error, latencyMs }, fate)}
        where company_no = ${companyNo} and subscription_id = ${subscriptionId}
          and ${fate.kind === "delivered" ? sql`failures > 0` : sql`${fate.kind !== "gone"}`} returning 1
      ) select exists (select from settled) as is_settled, (select count(*) from noted) as noted`,
  );
  return row?.isSettled ?? false;
}

/** What an attempt says of its endpoint. A success of one that was well changes nothing, and locks nothing. */
function healthAfter({ status, error, latencyMs }: Attempt, fate: Fate) {
  if (fate.kind === "delivered")
    return sql`failures = 0, failing_since = null, next_try_at = null, last_error = null`;
  const pauseMs = fate.kind === "gone" ? 0 : fate.pauseMs;
  return sql`failures = failures + 1,
    failing_since = coalesce(failing_since,
      clock_timestamp() - ${latencyMs}::int * interval '1 millisecond'),
    last_error = ${error ?? `answered ${status ?? "nothing"}`},
    next_try_at = clock_timestamp() + ${pauseMs}::bigint * interval '1 millisecond'`;
}

/** True: it was enabled until now. Role notify; the event of it goes into the same transaction. */
export async function disableSubscription(
  tx: Tx,
  { companyNo, subscriptionId }: QueueKey,
): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update webhook_subscriptions set is_enabled = false, updated_at = clock_timestamp()
      where company_no = ${companyNo} and subscription_id = ${subscriptionId} and is_enabled`,
  );
  return count > 0;
}
