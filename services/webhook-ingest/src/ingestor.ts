import {
  commitIngest,
  type Database,
  type EventRelay,
  type IngestResult,
  type IngestWebhook,
  isRetriable,
  isUnavailable,
  type Keyring,
  parkWebhook,
} from "@manyline/db";
import type { Clock } from "@manyline/runtime";
import { MicroBatcher } from "./micro-batcher.ts";
import type { Reports } from "./reports.ts";

const SERVICE = "webhook-ingest";

/**
 * Pieces of one commit at most. A webhook may have thousands, of as many strangers; in one commit they would take longer
 * than a statement may, and so each time that they come.
 */
const PIECES = 256;

/** The pieces of the webhooks in their order, so many at a time. */
export function* slices(
  webhooks: readonly IngestWebhook[],
  most: number,
): Generator<IngestWebhook[]> {
  let slice: IngestWebhook[] = [];
  let room = most;
  for (const one of webhooks) {
    const { items } = one.webhook;
    for (let from = 0; from < items.length;) {
      const part = items.slice(from, from + room);
      slice.push({ ...one, webhook: { ...one.webhook, items: part } });
      from += part.length;
      room -= part.length;
      if (room > 0) continue;
      yield slice;
      [slice, room] = [[], most];
    }
  }
  if (slice.length > 0) yield slice;
}

export type IngestorOptions = {
  db: Database;
  keyring: Keyring;
  relay: Pick<EventRelay, "publish">;
  clock: Clock;
  reports: Reports;
  lanes: number;
  size: number;
  waitingBytes: number;
};

/** Commits webhooks, many at a time, and hands their events on. */
export class Ingestor {
  readonly #options: IngestorOptions;
  readonly #batcher: MicroBatcher<IngestWebhook>;

  constructor(options: IngestorOptions) {
    this.#options = options;
    const { lanes, size, waitingBytes: capacity } = options;
    this.#batcher = new MicroBatcher({
      lanes,
      size,
      capacity,
      commit: (webhooks) => this.#commit(webhooks),
      isWorthSplitting: (error) => !isUnavailable(error),
    });
  }

  /** Bytes of webhooks that wait for their commit. */
  get waitingBytes(): number {
    return this.#batcher.weight;
  }

  /**
   * Resolves when the webhook is committed. Rejects with BusyError, or with an error of `isUnavailable` or
   * `isRetriable`: it is not, and should come again.
   */
  async take(webhook: IngestWebhook): Promise<void> {
    const [first] = webhook.webhook.items;
    if (!first) return;
    await this.#batcher.add(first.route.wabaId ?? "", webhook, webhook.raw.length);
  }

  async idle(): Promise<void> {
    await this.#batcher.idle();
  }

  /** What was committed before one slice failed stays: when all of it comes again there is less left to do. */
  async #commit(webhooks: readonly IngestWebhook[]): Promise<void> {
    for (const some of slices(webhooks, PIECES)) await this.#commitSome(some);
  }

  async #commitSome(webhooks: readonly IngestWebhook[]): Promise<void> {
    try {
      await this.commitNow(webhooks);
    } catch (error) {
      const [only, second] = webhooks;
      if (!only || second || isUnavailable(error) || isRetriable(error)) throw error;
      const { webhook } = only;
      const half = Math.ceil(webhook.items.length / 2);
      if (half < webhook.items.length) {
        // Whatever is wrong with one piece leaves the others alone, in the order in which they came.
        for (const items of [webhook.items.slice(0, half), webhook.items.slice(half)])
          await this.#commitSome([{ ...only, webhook: { ...webhook, items } }]);
        return;
      }
      // It would come for days and fail each time; so it is kept for whoever mends it.
      this.#options.reports.notStored(error);
      await parkWebhook(this.#options.db, only);
    }
  }

  /** One commit, past the queue. */
  async commitNow(webhooks: readonly IngestWebhook[]): Promise<IngestResult> {
    const { db, keyring, relay, clock, reports } = this.#options;
    const startedAt = clock.monotonic();
    const result = await commitIngest(db, keyring, { service: SERVICE }, webhooks);
    relay.publish(result.events);
    const durationMs = clock.monotonic() - startedAt;
    const { events, repeated, parked } = result;
    reports.committed({
      webhooks: webhooks.length,
      events: events.length,
      repeated,
      parked,
      durationMs,
    });
    return result;
  }
}
