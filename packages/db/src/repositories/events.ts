import { type Envelope, eventText, type OutgoingEvent } from "@manyline/contracts";
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import { type Count, countOf, keep } from "./counted.ts";

/** An event that is committed. `eventNo` grows in the order of writing, across companies. */
export type StoredEvent = {
  eventNo: number;
  eventId: string;
  companyNo: number;
  numberNo: number | null;
  type: string;
  natsSubject: string;
  envelope: Envelope;
  createdAt: Date;
  /** The envelope as JSON, of one that was just written. */
  text?: string;
  /** Of one that was just written: the lowest number among those of the same insert, all of which the relay gets. */
  publicationNo?: number;
};

export type EventInput = { companyNo: number; numberNo: number | null; event: OutgoingEvent };

export const eventColumns = sql.raw(
  [
    "e.event_no, e.event_id, e.company_no, e.number_no, e.type, e.subject as nats_subject, e.envelope",
    "e.created_at",
  ].join(", "),
);

/**
 * Writes events into the log, in the transaction of the facts they tell, in their order. Hand the result
 * to `EventRelay.publish` after the commit; if that does not happen, the sweeper publishes them.
 */
export async function appendEvents(
  executor: Executor,
  events: readonly EventInput[],
): Promise<StoredEvent[]> {
  if (events.length === 0) return [];
  return storedEvents(events, byEventId(await rows(executor, insertEvents(events))));
}

/** What an insert into the log returns of each row. */
export type WrittenEvent = { eventNo: number; eventId: string; createdAt: Date };

export function byEventId(written: readonly WrittenEvent[]): Map<string, WrittenEvent> {
  return new Map(written.map((row) => [row.eventId, row]));
}

/** The insert, for a statement that writes more than events. */
export function insertEvents(events: readonly EventInput[]) {
  const envelopes = events.map(({ event }) => event.envelope);
  return sql<WrittenEvent>`
      insert into whatsapp_events as e (company_no, number_no, event_id, type, subject, envelope)
      select company_no, number_no, event_id, type, subject, envelope::json
      from unnest(${events.map(({ companyNo }) => companyNo)}::int[],
        ${events.map(({ numberNo }) => numberNo)}::int[],
        ${envelopes.map(({ id }) => id)}::text[],
        ${envelopes.map(({ type }) => type)}::text[],
        ${events.map(({ event }) => event.natsSubject)}::text[],
        ${events.map(({ event }) => eventText(event))}::text[])
        with ordinality as n (company_no, number_no, event_id, type, subject, envelope, place)
      order by place
      returning event_no, event_id, created_at`;
}

/** The events as one insert has written them, in their order. `written`: all rows of that insert. */
export function storedEvents(
  events: readonly EventInput[],
  written: ReadonlyMap<string, WrittenEvent>,
): StoredEvent[] {
  let publicationNo = Infinity;
  for (const { eventNo } of written.values()) publicationNo = Math.min(publicationNo, eventNo);
  return events.map(({ companyNo, numberNo, event }) => {
    const row = written.get(event.envelope.id);
    if (row === undefined) throw new Error(`event ${event.envelope.id} was not written`);
    const { type } = event.envelope;
    return {
      ...row,
      companyNo,
      numberNo,
      type,
      natsSubject: event.natsSubject,
      envelope: event.envelope,
      text: eventText(event),
      publicationNo,
    };
  });
}

/**
 * A company's events in the order of writing, after the one with the id `afterId` (a Last-Event-ID). An
 * `afterId` that the log no longer holds: everything it does hold. A transaction that commits late can
 * put an event before one that was already read; who must see each reads from the stream.
 */
export async function listEvents(
  executor: Executor,
  query: {
    companyNo: number;
    numberNo?: number | undefined;
    afterId?: string | undefined;
    limit: number;
  },
): Promise<StoredEvent[]> {
  const { companyNo, numberNo, afterId, limit } = query;
  return rows(
    executor,
    sql<StoredEvent>`select ${eventColumns} from whatsapp_events e
      where e.company_no = ${companyNo}
        and e.event_no > coalesce((select max(a.event_no) from whatsapp_events a
          where a.company_no = ${companyNo} and a.event_id = ${afterId ?? null}), 0)
        and (${numberNo ?? null}::int is null or e.number_no is null or e.number_no = ${numberNo ?? null})
      order by e.event_no limit ${limit}`,
  );
}

/** Makes the partitions of today and the next days. Role worker; returns how many were missing. */
export async function ensurePartitions(executor: Executor, daysAhead: number): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ made: number }>`select create_event_partitions(${daysAhead}) as made`,
  );
  return row?.made ?? 0;
}

/** Drops the days before the last `keepDays` (at least 2). Role worker; returns how many. */
export async function dropOldPartitions(executor: Executor, keepDays: number): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ dropped: number }>`select drop_event_partitions(${keepDays}) as dropped`,
  );
  return row?.dropped ?? 0;
}

/** Publications that began more than `keepMs` ago, 100,000 at most. Role worker; returns how many. */
export async function deleteOldPublications(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_publications(${keep(keepMs)}) as count`);
}
