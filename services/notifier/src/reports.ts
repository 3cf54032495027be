import { createMetrics } from "@manyline/runtime";
import type { Logger } from "@manyline/runtime";

/** `taken`: answered with 2xx. `lost`: the claim had ended before the answer came, somebody else settles it. */
export type DeliveryOutcome = "taken" | "failed" | "dead" | "gone" | "lost";

export type Reports = {
  delivered(outcome: DeliveryOutcome, facts: { latencyMs: number; error: string | null }): void;
  /** From the event to the answer of the endpoint, of what was taken at the first try. */
  arrived(sinceEventMs: number): void;
  disabled(companyId: string, subscriptionId: string): void;
  code(outcome: "taken" | "failed", latencyMs: number): void;
  queueFailed(error: unknown): void;
  unreadable(reason: string): void;
};

/** One function per business event: a counter of low cardinality, and a line where somebody should look. */
export function createReports(logger: Logger): Reports {
  const log = logger.child({ component: "webhooks" });
  const metrics = createMetrics("notifier");
  const attempts = metrics.histogram("webhook_attempt_duration", {
    description: "time until an endpoint answered, by outcome",
  });
  const arrivals = metrics.histogram("webhook_arrival_duration", {
    description: "time from an event to its delivery at the first try",
  });
  const codes = metrics.histogram("webhook_code_duration", {
    description: "time until a pairing code was delivered, by outcome",
  });
  return {
    delivered: (outcome, { latencyMs, error }) => {
      attempts.record(latencyMs / 1_000, { outcome, error: error ?? "none" });
    },
    arrived: (sinceEventMs) => arrivals.record(sinceEventMs / 1_000),
    disabled: (companyId, subscriptionId) =>
      log.warn(
        { event: "webhook.disabled", companyId, subscriptionId },
        "an endpoint took nothing for more than a day and is called no more",
      ),
    code: (outcome, latencyMs) => codes.record(latencyMs / 1_000, { outcome }),
    queueFailed: (error) =>
      log.warn(
        { event: "webhook.queue_failed", err: error },
        "a queue stopped and is started again",
      ),
    unreadable: (reason) =>
      log.warn({ event: "webhook.unreadable", reason }, "an event could not be read"),
  };
}
