import type { WppItem } from "@manyline/contracts";
import { isKnownFlowError } from "@manyline/contracts/flows";
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

/**
 * `pong`, `screen`, `acknowledged`: answered. `not_for_us`: no key of the company opens it. `handler_…`: whoever fills
 * the screens is not there, is too slow, or answers nonsense.
 */
export type FlowOutcome =
  | "pong"
  | "screen"
  | "acknowledged"
  | "unreadable"
  | "too_large"
  | "not_for_us"
  | "invalid_token"
  | "bad_signature"
  | "handler_absent"
  | "handler_late"
  | "handler_broken"
  | "unavailable";

/**
 * `taken`: read, and whatever it told is committed. `bad_key`: no number has it, or the account that the body names is
 * another's.
 */
export type WppOutcome =
  | "taken"
  | "bad_key"
  | "too_large"
  | "unreadable"
  | "busy"
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
  /** Webhooks that were answered before they were committed. */
  journaled(webhooks: number): void;
  /** One that was not committed for now. */
  leftInJournal(error: unknown): void;
  /** One webhook that cannot be stored; it is kept aside. */
  notStored(error: unknown): void;
  replayed(changes: number): void;
  wpp(outcome: WppOutcome, durationMs: number): void;
  /** What the pieces of a webhook are, as the normaliser says: `ignored` and `unroutable` as well. */
  wppPieces(items: readonly WppItem[]): void;
  flow(outcome: FlowOutcome, durationMs: number): void;
  /** A phone could not use an answer; `error` as the phone says it. */
  flowError(companyId: string, error: string): void;
  handlerFailed(companyId: string, error: unknown): void;
  flowFailed(error: unknown): void;
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
  const journaled = metrics.counter("ingest_journaled", {
    description: "webhooks that were answered while others waited, and are committed after that",
  });
  const flows = metrics.histogram("ingest_flow_duration", {
    description: "time until a request of a flow was answered, by outcome",
  });
  const wppWebhooks = metrics.histogram("ingest_wpp_duration", {
    description: "time until a webhook of a WPP server was answered, by outcome",
  });
  const wppPieces = metrics.counter("ingest_wpp_pieces", {
    description: "pieces of webhooks of WPP servers, by server and event",
  });
  return {
    wpp: (outcome, durationMs) => {
      wppWebhooks.record(durationMs / 1_000, { outcome });
      if (outcome === "taken") return;
      const level = outcome === "failed" ? "error" : "warn";
      log[level]({ event: "wpp.refused", outcome }, "webhook of a WPP server not taken");
    },
    wppPieces: (items) => {
      for (const { facts } of items) {
        wppPieces.add(1, { server: facts.platform, event: facts.event });
      }
    },
    flow: (outcome, durationMs) => {
      flows.record(durationMs / 1_000, { outcome });
      if (["pong", "screen", "acknowledged", "invalid_token"].includes(outcome)) return;
      log.warn({ event: "flow.refused", outcome }, "request of a flow not answered");
    },
    flowError: (companyId, error) => {
      // What is none of Meta's words may be anything.
      const word = isKnownFlowError(error) ? error : "other";
      log.warn({ event: "flow.error", company_id: companyId, error: word }, "a flow failed");
    },
    handlerFailed: (companyId, error) => {
      const fields = { event: "flow.handler_failed", company_id: companyId, err: error };
      log.warn(fields, "the handler of a flow gave no answer");
    },
    flowFailed: (error) =>
      log.warn({ event: "flow.failed", err: error }, "a flow cannot be answered"),
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
    journaled: (count) => journaled.add(count),
    leftInJournal: (error) => {
      log.debug({ event: "journal.left", err: error }, "a webhook waits in the journal");
    },
    notStored: (error) => {
      log.error({ event: "webhook.not_stored", err: error }, "a webhook cannot be stored");
    },
    replayed: (changes) => log.info({ event: "webhook.replayed", count: changes }, "replayed"),
  };
}
