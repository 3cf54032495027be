import type { Logger } from "../logger.ts";
import { answer } from "./stream-message.ts";
import type { Delivery } from "./stream-message.ts";
import type { BatchOptions, DurableOptions, Outcome, StreamMessage } from "./types.ts";
import type { Wire } from "./wire.ts";

const DEFAULT_MAX_ATTEMPTS = 10;
/** Failures are remembered for this many messages; beyond it the oldest are forgotten. */
const MAX_REMEMBERED = 10_000;

/**
 * What an error says about trying again, by its `retry` field: `passing` for `now` and `later` (a
 * dependency is down, the process stops), `final` for `never`, `failed` for an error that does not say.
 */
export function judgeError(error: unknown): "passing" | "final" | "failed" {
  const retry: unknown =
    typeof error === "object" && error !== null && "retry" in error ? error.retry : undefined;
  if (retry === "now" || retry === "later") return "passing";
  return retry === "never" ? "final" : "failed";
}

/** 1 s, 2 s, 4 s … up to a minute, with a jitter that keeps failures from coming back as one. */
export function defaultRetryDelayMs(attempt: number): number {
  const fullMs = Math.min(60_000, 1_000 * 2 ** Math.min(attempt - 1, 10));
  return fullMs * (0.75 + Math.random() / 4);
}

/** Runs handlers and turns what becomes of them into answers to the server. */
export class Settler {
  readonly #options: DurableOptions | BatchOptions;
  readonly #logger: Logger;
  /** Failures by sequence. Counted here, since the server's count also grows by restarts and outages. */
  readonly #failures = new Map<number, number>();

  constructor(options: DurableOptions | BatchOptions, logger: Logger) {
    this.#options = options;
    this.#logger = logger;
  }

  /** Never rejects. */
  async settle(wire: Wire, options: DurableOptions, delivery: Delivery): Promise<void> {
    try {
      await this.#apply(wire, delivery, (await options.handler(delivery.message)) ?? "ack");
    } catch (error) {
      await this.#applyError(wire, delivery, error);
    }
  }

  /** Halves a failing batch until the bad message stands alone. Never rejects. */
  async settleBatch(
    wire: Wire,
    options: BatchOptions,
    deliveries: readonly Delivery[],
  ): Promise<void> {
    const [first] = deliveries;
    if (first === undefined) return;
    try {
      await options.handleBatch(deliveries.map(({ message }) => message));
      for (const delivery of deliveries) await this.#apply(wire, delivery, "ack");
    } catch (error) {
      if (deliveries.length === 1) {
        await this.#applyError(wire, first, error);
      } else if (judgeError(error) === "passing") {
        for (const delivery of deliveries) await this.#applyError(wire, delivery, error);
      } else {
        const middle = Math.ceil(deliveries.length / 2);
        await this.settleBatch(wire, options, deliveries.slice(0, middle));
        await this.settleBatch(wire, options, deliveries.slice(middle));
      }
    }
  }

  async #applyError(wire: Wire, delivery: Delivery, error: unknown): Promise<void> {
    const kind = judgeError(error);
    const text = error instanceof Error ? error.message : String(error);
    if (kind === "final") {
      await this.#giveUp(wire, delivery, text, error);
      return;
    }
    if (kind === "passing") {
      this.#logger.warn(
        { err: error, ...about(delivery.message) },
        "handler interrupted, will retry",
      );
      this.#retry(wire, delivery, this.#failures.get(delivery.message.seq) ?? 0);
      return;
    }
    this.#logger.error({ err: error, ...about(delivery.message) }, "a message handler failed");
    await this.#countFailure(wire, delivery, text, error);
  }

  async #apply(wire: Wire, delivery: Delivery, outcome: Outcome): Promise<void> {
    if (outcome === "ack") {
      this.#failures.delete(delivery.message.seq);
      answer(wire, delivery, "ack");
    } else if (outcome === "retry") {
      await this.#countFailure(wire, delivery, "the handler asked for a retry", undefined);
    } else if (outcome === "give-up") {
      await this.#giveUp(wire, delivery, "the handler gave up", undefined);
    } else if (outcome.outcome === "retry") {
      // A pause the handler chose is a schedule, not a failure.
      answer(wire, delivery, { nakDelayMs: outcome.delayMs });
    } else {
      await this.#giveUp(wire, delivery, outcome.reason, undefined);
    }
  }

  async #countFailure(
    wire: Wire,
    delivery: Delivery,
    reason: string,
    error: unknown,
  ): Promise<void> {
    const { seq } = delivery.message;
    const count = (this.#failures.get(seq) ?? 0) + 1;
    this.#failures.delete(seq);
    this.#failures.set(seq, count);
    const [oldest] = this.#failures.keys();
    if (this.#failures.size > MAX_REMEMBERED && oldest !== undefined) this.#failures.delete(oldest);
    if (count >= (this.#options.maxAttempts ?? DEFAULT_MAX_ATTEMPTS)) {
      await this.#giveUp(wire, delivery, `${count} attempts failed, the last: ${reason}`, error);
    } else {
      this.#retry(wire, delivery, count);
    }
  }

  #retry(wire: Wire, delivery: Delivery, failureCount: number): void {
    const delayMs = this.#options.retryDelayMs ?? defaultRetryDelayMs;
    answer(wire, delivery, { nakDelayMs: delayMs(Math.max(1, failureCount)) });
  }

  async #giveUp(wire: Wire, delivery: Delivery, reason: string, error: unknown): Promise<void> {
    const { message } = delivery;
    try {
      await this.#options.onGiveUp?.({ message, reason, error });
    } catch (hookError) {
      this.#logger.error(
        { err: hookError, ...about(message) },
        "onGiveUp failed, the message is retried",
      );
      this.#retry(wire, delivery, this.#failures.get(message.seq) ?? 1);
      return;
    }
    this.#failures.delete(message.seq);
    this.#logger.error({ event: "bus.given_up", reason, ...about(message) }, "message given up");
    answer(wire, delivery, "terminate");
  }
}

function about(message: StreamMessage): object {
  return { subject: message.subject, msg_id: message.msgId, attempt: message.deliveryCount };
}
