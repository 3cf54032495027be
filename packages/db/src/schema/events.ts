import type { Envelope } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * The event log: every fact, committed together with what it tells. Partitioned by day of `created_at`
 * (UTC, whole milliseconds). Written once; where it was published says `event_publications`.
 *
 * Writer: whoever commits the fact.
 * Retention: 8 days or longer, as set; dropped by whole days.
 */
export type WhatsappEventsTable = {
  companyNo: number;
  eventNo: Generated<number>;
  eventId: string;
  numberNo: number | null;
  type: string;
  subject: string;
  envelope: Envelope;
  createdAt: Generated<Date>;
};

/**
 * One row for the events of one insert, named by the number of the first: where they were published. The lists belong
 * together by place. `stream_seqs`: sequences in the stream of that incarnation (its creation time), null of what is not
 * published yet, 0 of what was deleted before it was. `published_at` null: something is left to publish.
 *
 * Writer: a trigger on `whatsapp_events` makes it, the relay marks it.
 * Retention: 3 days; a stream is filled from what is at most 48 hours old.
 */
export type EventPublicationsTable = {
  publicationNo: number;
  eventNos: number[];
  companyNos: number[];
  createdAt: Date;
  incarnation: string | null;
  streamSeqs: (number | null)[] | null;
  lastSeq: number | null;
  publishedAt: Date | null;
};
