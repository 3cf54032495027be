import type { Envelope } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * The event log: every fact, committed together with what it tells. Partitioned by day of `created_at`
 * (UTC, whole milliseconds). `incarnation` and `stream_seq`: where it was published; null: not yet.
 *
 * Writer: whoever commits the fact; the relay alone writes the three columns of publication.
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
  incarnation: string | null;
  streamSeq: number | null;
  publishedAt: Date | null;
};
