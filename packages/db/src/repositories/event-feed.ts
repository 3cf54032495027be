/**
 * How a feed reads the event log. An event's place in the log is given before its transaction commits, so one
 * that commits late appears behind events that were read already. A feed therefore reads the last seconds again
 * each time and drops what it has seen.
 */
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import { listEvents, type StoredEvent } from "./events.ts";

/** Whose events: one number's with the company's own, or (null) all of the company. */
export type FeedScope = { readonly companyNo: number; readonly numberNo: number | null };

/** What a feed is given of an event. */
export type FedEvent = Pick<
  StoredEvent,
  "eventNo" | "eventId" | "numberNo" | "type" | "envelope" | "createdAt"
>;

const PAGE = 500;

/** Events written after `since` (the clock of Postgres), in the order of writing. */
export async function eventsSince(
  executor: Executor,
  { companyNo, numberNo }: FeedScope,
  since: Date,
): Promise<FedEvent[]> {
  const found: FedEvent[] = [];
  for (;;) {
    const page = await rows(
      executor,
      sql<FedEvent>`select event_no, event_id, number_no, type, envelope, created_at from whatsapp_events
        where company_no = ${companyNo} and created_at > ${since} and event_no > ${found.at(-1)?.eventNo ?? 0}
          and (${numberNo}::int is null or number_no is null or number_no = ${numberNo})
        order by event_no limit ${PAGE}`,
    );
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

/**
 * Events after a Last-Event-ID, at most `limit`; undefined when the log does not know the id (any more): then
 * there is no telling what was missed.
 */
export async function eventsAfter(
  executor: Executor,
  { companyNo, numberNo }: FeedScope,
  lastEventId: string,
  limit: number,
): Promise<FedEvent[] | undefined> {
  const known = await firstRow(
    executor,
    sql<{ eventNo: number }>`select event_no from whatsapp_events
      where company_no = ${companyNo} and event_id = ${lastEventId}`,
  );
  if (!known) return undefined;
  return listEvents(executor, {
    companyNo,
    numberNo: numberNo ?? undefined,
    afterId: lastEventId,
    limit,
  });
}
