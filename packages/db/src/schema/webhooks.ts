import type { Generated, GeneratedAlways } from "kysely";

/**
 * Where a company wants its events sent. `headers` (its own, JSON) and the secrets are sealed; `former_secret` signs too
 * until `former_until`. `failing_since`: it has taken nothing since then.
 *
 * Writer, by column: gateway url, events, headers, secrets, is_enabled; notifier failures, failing_since, last_error,
 * next_try_at, and is_enabled when the endpoint is dead.
 * Retention: until it is removed, or the company is deleted.
 */
export type WebhookSubscriptionsTable = {
  companyNo: number;
  subscriptionId: string;
  url: string;
  events: string[];
  headers: Buffer | null;
  secret: Buffer;
  formerSecret: Buffer | null;
  formerUntil: Date | null;
  isEnabled: Generated<boolean>;
  failures: Generated<number>;
  failingSince: Date | null;
  lastError: string | null;
  nextTryAt: Date | null;
  createdAt: Generated<Date>;
  updatedAt: Generated<Date>;
};

/**
 * One event for one subscription, without its body. `due_at`: when it is to be tried, or when a claim ends. `is_late`: it
 * has stepped aside and is out of the order of its chat.
 *
 * Writer: notifier; gateway for a replay.
 * Retention: 8 days after the event was first queued, as long as the event itself.
 */
export type DeliveriesTable = {
  deliveryNo: GeneratedAlways<number>;
  companyNo: number;
  subscriptionId: string;
  eventId: string;
  type: string;
  chat: string | null;
  seq: number | null;
  state: Generated<"waiting" | "delivered" | "dead">;
  isLate: Generated<boolean>;
  attempts: Generated<number>;
  dueAt: Generated<Date>;
  firstTriedAt: Date | null;
  status: number | null;
  error: string | null;
  latencyMs: number | null;
  createdAt: Generated<Date>;
  endedAt: Date | null;
};

/**
 * One row: everything in this incarnation of the stream up to `stream_seq` is in the queues.
 *
 * Writer: the notifier that reads the stream.
 * Retention: for good.
 */
export type WebhookIntakeTable = {
  isOnly: Generated<boolean>;
  incarnation: string;
  streamSeq: number;
};
