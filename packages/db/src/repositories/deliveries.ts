/** The queue of each endpoint: what is to be delivered, what became of it, and how it is had again. */
import type { Envelope } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, rows, type Tx } from "../open.ts";

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

/** Everything in this incarnation of the stream up to here is in the queues. */
export type StreamPlace = { incarnation: string; streamSeq: number };

/**
 * Queues events for whoever subscribes to them, once however often it is called. Returns the queues that have
 * something new. `place` is noted with what is queued; of nothing only if `isKept`. Role notify.
 */
export async function queueDeliveries(
  executor: Executor,
  events: readonly QueuedEvent[],
  place?: StreamPlace & { isKept: boolean },
): Promise<QueueKey[]> {
  return rows(
    executor,
    sql<QueueKey>`select company_no, subscription_id from queue_deliveries(
      ${events.map((one) => one.eventId)}::text[], ${events.map((one) => one.companyId)}::text[],
      ${events.map((one) => one.type)}::text[], ${events.map((one) => one.filters.join(" "))}::text[],
      ${events.map((one) => one.chat)}::text[], ${events.map((one) => one.seq)}::bigint[],
      ${events.map((one) => one.at)}::timestamptz[], ${events.map((one) => one.holdMs)}::int[],
      ${place?.incarnation ?? null}::text, ${place?.streamSeq ?? 0}::bigint, ${place?.isKept ?? false}::boolean)`,
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

export type Claim = QueueKey & { limit: number; claimMs: number };

/**
 * Takes what is due at endpoints, for `claimMs`; whoever does not settle it by then loses it. Of each chat only the
 * first that waits, in the order of `seq`, until that has stepped aside. One list for each claim. Role notify.
 */
export async function claimDeliveries(
  executor: Executor,
  claims: readonly Claim[],
): Promise<ClaimedDelivery[][]> {
  const found = await rows(
    executor,
    sql<ClaimedDelivery & { place: number }>`select q.place, c.*
      from unnest(${claims.map((one) => one.companyNo)}::int[], ${claims.map((one) => one.subscriptionId)}::text[],
        ${claims.map((one) => one.limit)}::int[], ${claims.map((one) => one.claimMs)}::bigint[])
        with ordinality as q (company_no, subscription_id, most, claim_ms, place)
      cross join lateral claim_deliveries(q.company_no, q.subscription_id, q.most,
        q.claim_ms * interval '1 millisecond') c`,
  );
  const lists = claims.map((): ClaimedDelivery[] => []);
  for (const { place, ...delivery } of found) lists[place - 1]?.push(delivery);
  return lists;
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

/** `isSettled` false: the claim was lost, somebody else settles it. `hasNext`: more of its chat waits. */
export type Settled = { isSettled: boolean; hasNext: boolean };

export type Settlement = {
  key: QueueKey;
  delivery: Pick<ClaimedDelivery, "deliveryNo" | "attempts">;
  attempt: Attempt;
  fate: Fate;
};

const STATES = { delivered: "delivered", again: "waiting", dead: "dead", gone: "dead" } as const;
/** What an attempt says of its endpoint. */
const SAYS = { delivered: "well", again: "failed", dead: "failed", gone: "nothing" } as const;

/** Notes how attempts ended, for the deliveries and for their endpoints. One answer for each. Role notify. */
export async function settleDeliveries(
  executor: Executor,
  settlements: readonly Settlement[],
): Promise<Settled[]> {
  const column = <T>(read: (one: Settlement) => T): T[] => settlements.map(read);
  const found = await rows(
    executor,
    // In one order, or two who settle for the same endpoints lock each other out.
    sql<Settled & { place: number }>`select q.place, s.is_settled, s.has_next
      from (select * from unnest(${column(({ key }) => key.companyNo)}::int[],
          ${column(({ key }) => key.subscriptionId)}::text[],
          ${column(({ delivery }) => delivery.deliveryNo)}::bigint[],
          ${column(({ delivery }) => delivery.attempts)}::int[], ${column(({ fate }) => STATES[fate.kind])}::text[],
          ${column(({ fate }) => fate.kind === "again" && fate.isLate)}::boolean[],
          ${column(({ fate }) => (fate.kind === "again" ? fate.inMs : 0))}::bigint[],
          ${column(({ attempt }) => attempt.status)}::int[], ${column(({ attempt }) => attempt.error)}::text[],
          ${column(({ attempt }) => attempt.latencyMs)}::int[], ${column(({ fate }) => SAYS[fate.kind])}::text[],
          ${column(({ fate }) => ("pauseMs" in fate ? fate.pauseMs : 0))}::bigint[])
          with ordinality as u (company_no, subscription_id, delivery_no, attempts, state, is_late, in_ms, status, error,
            latency_ms, says, pause_ms, place)
        order by company_no, subscription_id, delivery_no) q
      cross join lateral settle_delivery(q.company_no, q.subscription_id, q.delivery_no, q.attempts, q.state, q.is_late,
        q.in_ms * interval '1 millisecond', q.status, q.error, q.latency_ms, q.says,
        q.pause_ms * interval '1 millisecond') s`,
  );
  const byPlace = new Map(found.map(({ place, ...settled }) => [place, settled]));
  return settlements.map(
    (_, index) => byPlace.get(index + 1) ?? { isSettled: false, hasNext: false },
  );
}

/** True: it was enabled, and failing, until now. Role notify; the event of it goes into the same transaction. */
export async function disableSubscription(
  tx: Tx,
  { companyNo, subscriptionId }: QueueKey,
): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update webhook_subscriptions set is_enabled = false, updated_at = clock_timestamp()
      where company_no = ${companyNo} and subscription_id = ${subscriptionId} and is_enabled
        and failing_since is not null`,
  );
  return count > 0;
}
