/**
 * How a feed reads the event log. An event's number is given before its transaction commits, so one that
 * commits late appears behind events that were read already.
 */
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import { eventColumns, type StoredEvent } from "./events.ts";

/** Whose events: one number's with the company's own, or, without a number, all of the company. */
export type FeedScope = { companyNo: number; numberNo: number | null };

/**
 * From where a reader goes on: behind `afterNo`, written after `since` (the clock of Postgres), without
 * `except`. An event has its number before its transaction commits, so a reader who must miss none keeps
 * both bounds some seconds back and excepts what it has had.
 */
export type FeedPosition = { afterNo: number; since?: Date; except?: readonly number[] };

/** In the order of writing. `hasMore`: the limits cut it short. */
export type EventPage = { events: StoredEvent[]; hasMore: boolean };

/**
 * The next events after a position: at most `limit.events`, and none that begins after `limit.bytes` of
 * envelopes; at least one, if there is any.
 */
export async function eventsSince(
  executor: Executor,
  scope: FeedScope,
  position: FeedPosition,
  limit: { events: number; bytes: number },
): Promise<EventPage> {
  const { companyNo, numberNo } = scope;
  const { afterNo, since, except = [] } = position;
  const found = await rows(
    executor,
    sql<StoredEvent & { foundCount: number }>`
      select ${eventColumns}, e.found_count from (
        select f.*, count(*) over ()::int as found_count,
          sum(f.size) over (order by f.event_no) - f.size as bytes_before
        from (
          select w.*, octet_length(w.envelope::text) as size from whatsapp_events w
          where w.company_no = ${companyNo} and w.event_no > ${afterNo}::bigint
            and w.created_at > ${since ?? "-infinity"}::timestamptz
            and w.event_no <> all (${[...except]}::bigint[])
            and (${numberNo}::int is null or w.number_no is null or w.number_no = ${numberNo}::int)
          order by w.event_no limit ${limit.events}
        ) f
      ) e where e.bytes_before < ${limit.bytes} order by e.event_no`,
  );
  const foundCount = found[0]?.foundCount ?? 0;
  const events = found.map(
    ({
      eventNo,
      eventId,
      companyNo: owner,
      numberNo: number,
      type,
      natsSubject,
      envelope,
      createdAt,
    }) => ({
      eventNo,
      eventId,
      companyNo: owner,
      numberNo: number,
      type,
      natsSubject,
      envelope,
      createdAt,
    }),
  );
  return { events, hasMore: foundCount === limit.events || events.length < foundCount };
}

/**
 * Where a reader begins that wants nothing old: `since` lies `overlapMs` before `now`, `afterNo` is the
 * last event of the company until then, and `recent` are those written from then on.
 */
export async function feedStart(
  executor: Executor,
  companyNo: number,
  overlapMs: number,
): Promise<{
  now: Date;
  since: Date;
  afterNo: number;
  recent: { eventNo: number; createdAt: Date }[];
}> {
  const start = await firstRow(
    executor,
    sql<{ now: Date; since: Date; afterNo: number }>`
      select t.now, t.since, coalesce((select e.event_no from whatsapp_events e
          where e.company_no = ${companyNo} and e.created_at <= t.since
          order by e.event_no desc limit 1), 0) as after_no
      from (select n as now, n - ${overlapMs}::bigint * interval '1 millisecond' as since
        from (select date_trunc('milliseconds', clock_timestamp()) as n) c) t`,
  );
  if (start === undefined) throw new Error("no clock");
  const recent = await rows(
    executor,
    sql<{ eventNo: number; createdAt: Date }>`
      select event_no, created_at from whatsapp_events
      where company_no = ${companyNo} and event_no > ${start.afterNo}::bigint
        and created_at > ${start.since}
      order by event_no`,
  );
  return { ...start, recent };
}

/** The number of an event by its id; undefined when the log does not hold it (any more). */
export async function eventNoOf(
  executor: Executor,
  companyNo: number,
  eventId: string,
): Promise<number | undefined> {
  const row = await firstRow(
    executor,
    sql<{ eventNo: number }>`select event_no from whatsapp_events
      where company_no = ${companyNo} and event_id = ${eventId}`,
  );
  return row?.eventNo;
}
