/** What became of deliveries, what is had again, and what is sent past the queues. */
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import type { Attempt, QueueKey } from "./deliveries.ts";

export type DeliveryRow = {
  deliveryNo: number;
  eventId: string;
  type: string;
  state: "waiting" | "delivered" | "dead";
  isLate: boolean;
  attempts: number;
  status: number | null;
  error: string | null;
  latencyMs: number | null;
  createdAt: Date;
  dueAt: Date;
  endedAt: Date | null;
};

/** The newest first; those before `before`. Role app, in `withCompany`. */
export async function listDeliveries(
  executor: Executor,
  { companyNo, subscriptionId }: QueueKey,
  query: { state?: DeliveryRow["state"] | undefined; before?: number | undefined; limit: number },
): Promise<DeliveryRow[]> {
  return rows(
    executor,
    sql<DeliveryRow>`select delivery_no, event_id, type, state, is_late, attempts, status, error, latency_ms,
        created_at, due_at, ended_at
      from deliveries where company_no = ${companyNo} and subscription_id = ${subscriptionId}
        and (${query.state ?? null}::text is null or state = ${query.state ?? null})
        and delivery_no < ${query.before ?? Number.MAX_SAFE_INTEGER}::bigint
      order by delivery_no desc limit ${query.limit}`,
  );
}

const AGAIN = sql`state = 'waiting', is_late = true, attempts = 0, due_at = clock_timestamp(), first_tried_at = null,
  status = null, error = null, latency_ms = null, ended_at = null`;

/** Those that ended, or died, are delivered again, out of their order. Codes never are. Role app, in `withCompany`. */
export async function replayDeliveries(
  tx: Tx,
  { companyNo, subscriptionId }: QueueKey,
  which: { eventId: string } | { isDead: true },
): Promise<number> {
  const filter = "eventId" in which ? sql`event_id = ${which.eventId}` : sql`state = 'dead'`;
  return changed(
    tx,
    sql`update deliveries set ${AGAIN}
      where company_no = ${companyNo} and subscription_id = ${subscriptionId}
        and state <> 'waiting' and type <> 'pairing-code' and ${filter}`,
  );
}

/**
 * All events of a time that the subscription asks for, also those it was not enabled for, as far as the log goes back;
 * `most` at a time. Those that wait are left as they are. `until` null: that was all of it. Role app, in `withCompany`.
 */
export async function replayRange(
  tx: Tx,
  { companyNo, subscriptionId }: QueueKey,
  { from, to, most }: { from: Date; to: Date; most: number },
): Promise<{ count: number; until: Date | null }> {
  const row = await firstRow(
    tx,
    sql<{ count: number; until: Date | null }>`with chosen as materialized (
        select s.company_no, s.subscription_id, e.event_id, e.type, e.created_at, e.event_no
        from webhook_subscriptions s join whatsapp_events e on e.company_no = s.company_no
        where s.company_no = ${companyNo} and s.subscription_id = ${subscriptionId}
          and e.created_at >= ${from} and e.created_at < ${to}
          and s.events && array['*', split_part(e.type, '.', 1) || '.*', e.type]
          and not exists (select from deliveries w where w.company_no = s.company_no
            and w.subscription_id = s.subscription_id and w.event_id = e.event_id and w.state = 'waiting')
        order by e.created_at, e.event_no limit ${most}
      ), queued as (
        insert into deliveries as d (company_no, subscription_id, event_id, type, is_late)
        select company_no, subscription_id, event_id, type, true from chosen order by created_at, event_no
        on conflict (company_no, subscription_id, event_id) do update set ${AGAIN}
          where d.state <> 'waiting'
        returning 1
      ) select (select count(*) from queued) as count,
        case when (select count(*) from chosen) = ${most}::int then (select max(created_at) from chosen) end as until`,
  );
  return row ?? { count: 0, until: null };
}

/** For this one, whatever it asks for: somebody tries it out. Role app, in `withCompany`. */
export async function queueTest(
  tx: Tx,
  { companyNo, subscriptionId }: QueueKey,
  event: { eventId: string; type: string },
): Promise<void> {
  await sql`insert into deliveries (company_no, subscription_id, event_id, type)
    values (${companyNo}, ${subscriptionId}, ${event.eventId}, ${event.type})`.execute(tx);
}

/** A code that was sent by itself: without a body, and never again. Role notify. */
export async function noteDirectDelivery(
  executor: Executor,
  { companyNo, subscriptionId }: QueueKey,
  input: { id: string; type: string; attempts: number; isDelivered: boolean } & Attempt,
): Promise<void> {
  const { id, type, attempts, isDelivered, status, error, latencyMs } = input;
  await sql`insert into deliveries (company_no, subscription_id, event_id, type, state, attempts, first_tried_at,
      status, error, latency_ms, ended_at)
    values (${companyNo}, ${subscriptionId}, ${id}, ${type}, ${isDelivered ? "delivered" : "dead"}, ${attempts},
      clock_timestamp(), ${status}, ${error}, ${latencyMs}, clock_timestamp())
    on conflict do nothing`.execute(executor);
}

/** Enabled subscriptions of a company that ask for one of these words. Role notify. */
export async function subscriptionsFor(
  executor: Executor,
  companyId: string,
  filters: readonly string[],
): Promise<QueueKey[]> {
  return rows(
    executor,
    sql<QueueKey>`select s.company_no, s.subscription_id from webhook_subscriptions s
      join companies c on c.company_no = s.company_no
      where c.company_id = ${companyId} and s.is_enabled and s.events && ${[...filters]}::text[]`,
  );
}

/** Role worker. */
export async function deleteOldDeliveries(executor: Executor, keepMs: number): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ count: number }>`
      select delete_old_deliveries(${keepMs}::bigint * interval '1 millisecond') as count`,
  );
  return row?.count ?? 0;
}
