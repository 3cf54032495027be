import { createMetrics } from "@manyline/runtime";
import type { Logger } from "@manyline/runtime";
import type { SendOutcome } from "./outcome.ts";

export type NoticeReports = {
  /** One try to send one mail or SMS. */
  tried(
    facts: { channel: "email" | "sms"; kind: string; outcome: SendOutcome; code: string | null },
    latencyMs: number,
  ): void;
  /** From the event's notice to the provider's yes, of what somebody waits for. */
  arrived(channel: "email" | "sms", sinceQueuedMs: number): void;
  ended(state: "failed" | "over", channel: "email" | "sms", kind: string, count: number): void;
  failed(error: unknown): void;
  unreadable(reason: string): void;
};

/** One function per business event. No address, text or code is in any of them. */
export function createNoticeReports(logger: Logger): NoticeReports {
  const log = logger.child({ component: "notices" });
  const metrics = createMetrics("notifier");
  const tries = metrics.histogram("notice_attempt_duration", {
    description: "time until a provider took or refused a mail or SMS, by outcome",
  });
  const arrivals = metrics.histogram("notice_arrival_duration", {
    description: "time from an urgent notice to the provider's yes",
  });
  const ends = metrics.counter("notices_ended", {
    description: "notices that were not sent: failed, or over before they could be",
  });
  return {
    tried: ({ channel, kind, outcome, code }, latencyMs) => {
      tries.record(latencyMs / 1_000, { channel, outcome });
      if (outcome !== "sent")
        log.warn(
          { event: "notice.not_sent", channel, kind, outcome, code },
          "a notice was not sent",
        );
    },
    arrived: (channel, sinceQueuedMs) => arrivals.record(sinceQueuedMs / 1_000, { channel }),
    ended: (state, channel, kind, count) => ends.add(count, { state, channel, kind }),
    failed: (error) =>
      log.warn({ event: "notice.round_failed", err: error }, "a round of notices failed"),
    unreadable: (reason) =>
      log.warn({ event: "notice.unreadable", reason }, "an event could not be read"),
  };
}
