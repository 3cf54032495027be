/** One function per business event: a log line and a low-cardinality counter. Never a code, QR, key or phone. */
import type { OwnedNumber } from "@manyline/db";
import { createMetrics, type Logger } from "@manyline/runtime";
import type { RecycleReason } from "./domain/line-watch.ts";
import type { Reaction } from "./domain/closing-reasons.ts";
import type { ConnectionEnd } from "./providers/provider.ts";

export type Reports = {
  event(type: string, number: OwnedNumber): void;
  /** Events of messages that came, of one commit. */
  inbound(number: OwnedNumber, types: readonly string[]): void;
  /** An event of a message that is sent. */
  message(type: string): void;
  /** One try to send, and what came of it. */
  sendTried(outcome: string): void;
  /** WhatsApp did not take a message. */
  refused(number: OwnedNumber, code: string): void;
  /** A number gets a fresh connection. */
  recycled(number: OwnedNumber, reason: RecycleReason): void;
  closed(number: OwnedNumber, end: ConnectionEnd, reaction: Reaction): void;
  failed(what: string, number: OwnedNumber, error: unknown): void;
  shardClaimed(shardId: number, epoch: number, numbers: number): void;
  shardLost(shardId: number): void;
  quiet(isQuiet: boolean): void;
};

export function createReports(logger: Logger): Reports {
  const metrics = createMetrics("session-worker");
  const events = metrics.counter("manyline_worker_events", { description: "events committed" });
  const closings = metrics.counter("manyline_worker_closings", {
    description: "connections to WhatsApp that ended",
  });
  const recycled = metrics.counter("manyline_worker_sockets_recycled", {
    description: "connections that were replaced by fresh ones",
  });
  const failures = metrics.counter("manyline_worker_failures", {
    description: "tasks of a number that failed",
  });
  const sends = metrics.counter("manyline_worker_sends", {
    description: "tries to send a message, by outcome",
  });
  const refusals = metrics.counter("manyline_worker_refusals", {
    description: "messages that WhatsApp did not take, by its code",
  });
  const shards = metrics.counter("manyline_worker_shard_moves", {
    description: "shards claimed and lost",
  });
  const of = (number: OwnedNumber) => ({
    company_id: number.companyId,
    number_id: number.numberId,
    shard: number.shardId,
  });
  return {
    event: (type, number) => {
      events.add(1, { type });
      logger.info({ event: type, ...of(number) }, type);
    },
    inbound: (number, types) => {
      for (const type of types) events.add(1, { type });
      logger.debug({ event: "inbound.committed", ...of(number), count: types.length }, "inbound");
    },
    message: (type) => events.add(1, { type }),
    sendTried: (outcome) => sends.add(1, { outcome }),
    refused: (number, code) => {
      refusals.add(1, { code });
      logger.info({ event: "message.refused", ...of(number), code }, "message refused");
    },
    recycled: (number, reason) => {
      recycled.add(1, { reason });
      logger.info({ event: "connection.recycled", ...of(number), reason }, "connection recycled");
    },
    closed: (number, end, reaction) => {
      closings.add(1, { code: String(end.code ?? "none"), reaction });
      logger.info(
        {
          event: "connection.closed",
          ...of(number),
          code: end.code,
          reaction,
          detail: end.message,
        },
        "connection closed",
      );
    },
    failed: (what, number, error) => {
      failures.add(1, { what });
      logger.error({ event: "number.task_failed", ...of(number), what, err: error }, "task failed");
    },
    shardClaimed: (shardId, epoch, numbers) => {
      shards.add(1, { what: "claimed" });
      logger.info({ event: "shard.claimed", shard: shardId, epoch, numbers }, "shard claimed");
    },
    shardLost: (shardId) => {
      shards.add(1, { what: "lost" });
      logger.warn({ event: "shard.lost", shard: shardId }, "shard lost");
    },
    quiet: (isQuiet) => {
      const fields = { event: "worker.quiet", quiet: isQuiet };
      if (isQuiet) logger.warn(fields, "gone quiet");
      else logger.info(fields, "quiet is over");
    },
  };
}
