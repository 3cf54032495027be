import { createMetrics } from "@manyline/runtime";
import type { Logger } from "@manyline/runtime";

/** `taken`: committed. `other_object`: signed, but about no WhatsApp account. */
export type WebhookOutcome =
  | "taken"
  | "other_object"
  | "bad_signature"
  | "too_large"
  | "unreadable"
  | "unavailable"
  | "failed";

export type CommitReport = {
  webhooks: number;
  events: number;
  repeated: number;
  parked: number;
  durationMs: number;
};

export type Reports = {
  webhook(outcome: WebhookOutcome, app: "shared" | "company", durationMs: number): void;
  handshake(isGood: boolean, app: "shared" | "company"): void;
  committed(report: CommitReport): void;
  /** One webhook that cannot be stored; it is kept aside. */
  notStored(error: unknown): void;
  replayed(changes: number): void;
};

/** One function per business event: a counter of low cardinality, and a line where somebody should look. */
export function createReports(logger: Logger): Reports {
  const log = logger.child({ component: "ingest" });
  const metrics = createMetrics("webhook-ingest");
  const webhooks = metrics.histogram("ingest_webhook_duration", {
    description: "time until a webhook was answered, by outcome",
  });
  const handshakes = metrics.counter("ingest_handshakes", { description: "by outcome" });
  const commits = metrics.histogram("ingest_commit_duration", { description: "of one commit" });
  const sizes = metrics.histogram("ingest_commit_webhooks", {
    description: "webhooks in one commit",
    unit: "none",
    boundaries: [1, 2, 4, 8, 16, 32, 64, 128, 256],
  });
  const pieces = metrics.counter("ingest_pieces", {
    description: "events told, repeated pieces dropped, changes kept that belong to nobody",
  });
  return {
    webhook: (outcome, app, durationMs) => {
      webhooks.record(durationMs / 1_000, { outcome, app });
      if (outcome === "taken") return;
      log[outcome === "failed" ? "error" : "warn"](
        { event: "webhook.refused", outcome, app },
        "webhook not taken",
      );
    },
    handshake: (isGood, app) => {
      handshakes.add(1, { outcome: isGood ? "good" : "refused", app });
      log.info({ event: "webhook.handshake", good: isGood, app }, "webhook handshake");
    },
    committed: ({ webhooks: count, events, repeated, parked, durationMs }) => {
      commits.record(durationMs / 1_000);
      sizes.record(count);
      pieces.add(events, { outcome: "told" });
      if (repeated > 0) pieces.add(repeated, { outcome: "repeated" });
      if (parked === 0) return;
      pieces.add(parked, { outcome: "parked" });
      log.warn({ event: "webhook.unroutable", count: parked }, "changes that belong to no number");
    },
    notStored: (error) => {
      log.error({ event: "webhook.not_stored", err: error }, "a webhook cannot be stored");
    },
    replayed: (changes) => log.info({ event: "webhook.replayed", count: changes }, "replayed"),
  };
}
