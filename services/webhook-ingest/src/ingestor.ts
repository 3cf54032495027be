import {
  commitIngest,
  type Database,
  type EventRelay,
  type IngestResult,
  type IngestWebhook,
  isRetriable,
  isUnavailable,
  type Keyring,
  setAside,
} from "@manyline/db";
import type { MetaItem } from "@manyline/contracts";
import type { Clock } from "@manyline/runtime";
import { Journal, type Journaled } from "./journal.ts";
import { BusyError, MicroBatcher } from "./micro-batcher.ts";
import type { Reports } from "./reports.ts";
import { readTaken, type Taken } from "./taken.ts";

const SERVICE = "webhook-ingest";

/**
 * Pieces of one commit at most. A webhook may have thousands, of as many strangers; in one commit they would take longer
 * than a statement may, and so each time that they come.
 */
const PIECES = 256;

/** While so many webhooks wait or are being committed, the next ones are kept as they came and answered first. */
const MANY = 16;
/**
 * While webhooks press, answering comes first: so many times as long as a commit took is left to it at the beginning of
 * a burst, nothing after so long. A burst is over when less is left to commit than fits into one.
 */
const REST = 5;
const MAX_REST_MS = 100;
const BURST_MS = 5_000;

/**
 * The pieces of the webhooks in their order, so many at a time. An entry of the journal ends with the last piece of its
 * webhook.
 */
export function* slices(
  webhooks: Iterable<IngestWebhook>,
  most: number,
): Generator<IngestWebhook[]> {
  let slice: IngestWebhook[] = [];
  let room = most;
  for (const one of webhooks) {
    const { items } = one.webhook;
    // Nothing in it, but its entry ends.
    if (items.length === 0) slice.push(one);
    for (let from = 0; from < items.length;) {
      const part = items.slice(from, from + room);
      from += part.length;
      slice.push(partOf(one, part, from === items.length));
      room -= part.length;
      if (room > 0) continue;
      yield slice;
      [slice, room] = [[], most];
    }
  }
  if (slice.length > 0) yield slice;
}

function partOf(one: IngestWebhook, items: MetaItem[], isLast: boolean): IngestWebhook {
  const { entryNo, ...rest } = one;
  const [first] = items;
  const before = first && one.webhook.items[one.webhook.items.indexOf(first) - 1];
  return {
    ...rest,
    ...(isLast ? { entryNo } : {}),
    ...(before ? { after: before.place } : {}),
    webhook: { ...one.webhook, items },
  };
}

/** `body`: of one that did not go through the journal. */
type Waiting = Taken & { body?: unknown };

/** All of them read at once may not fit into the memory. */
function* readOneByOne(waiting: readonly Waiting[], now: Date): Generator<IngestWebhook> {
  for (const one of waiting) yield readTaken(one, now, one.body);
}

export type IngestorOptions = {
  db: Database;
  keyring: Keyring;
  relay: Pick<EventRelay, "publish">;
  clock: Clock;
  reports: Reports;
  lanes: number;
  size: number;
  /** So many answered webhooks wait at most; the next ones are answered when some of these are committed. */
  ahead: number;
  waitingBytes: number;
};

/** Commits webhooks, many at a time, and hands their events on. */
export class Ingestor {
  readonly #options: IngestorOptions;
  readonly #batcher: MicroBatcher<Waiting>;
  readonly #journal: Journal;
  readonly #journaled = new Set<number>();
  /** When the burst began. */
  #burstAt: number | undefined;
  #untilRoom: PromiseWithResolvers<void> | undefined;

  constructor(options: IngestorOptions) {
    this.#options = options;
    const { db, clock, lanes, size, waitingBytes: capacity } = options;
    this.#journal = new Journal({ db, clock, room: () => this.#room() });
    this.#batcher = new MicroBatcher({
      lanes,
      size,
      capacity,
      commit: (webhooks) => this.#commit(webhooks),
      isWorthSplitting: (error) => !isUnavailable(error),
      restMs: (commitMs) => this.#restMs(commitMs),
    });
  }

  /** Bytes of webhooks that wait for their commit. */
  get waitingBytes(): number {
    return this.#batcher.weight + this.#journal.waitingBytes;
  }

  /** Entries of the journal that wait here for their commit. */
  get journaled(): ReadonlySet<number> {
    return this.#journaled;
  }

  /**
   * Resolves when the webhook is committed, or, while many wait, when it is in the journal. Rejects with BusyError, or
   * with an error of `isUnavailable` or `isRetriable`: it is neither, and should come again.
   */
  async take(webhook: Taken, body: unknown): Promise<void> {
    // What comes while others are on their way into the journal follows them.
    const isQuiet = this.#batcher.count < MANY && this.#journal.waitingBytes === 0;
    // What is answered has its place in the queue: without one it would be committed after those that came later.
    const waiting = this.waitingBytes;
    if (waiting > 0 && waiting + webhook.raw.length > this.#options.waitingBytes)
      throw new BusyError("too much waits to be committed");
    if (isQuiet) {
      await this.#add({ ...webhook, body });
      return;
    }
    // Bytes of its own: those that came share their memory with others, and would keep all of it.
    const raw = Buffer.allocUnsafeSlow(webhook.raw.length);
    webhook.raw.copy(raw);
    const kept = await this.#journal.add({ ...webhook, raw });
    this.#options.reports.journaled(1);
    void this.takeJournaled(kept);
  }

  /** Commits what is in the journal. False, and never a rejection: it stays there, to be read again. */
  async takeJournaled(webhook: Journaled): Promise<boolean> {
    const { entryNo } = webhook;
    this.#journaled.add(entryNo);
    try {
      await this.#add(webhook);
      return true;
    } catch (error) {
      this.#options.reports.leftInJournal(error);
      return false;
    } finally {
      this.#journaled.delete(entryNo);
      if (this.#journaled.size < this.#options.ahead) {
        this.#untilRoom?.resolve();
        this.#untilRoom = undefined;
      }
    }
  }

  /** Undefined: there is room for more that are answered before they are committed. */
  #room(): Promise<void> | undefined {
    if (this.#journaled.size < this.#options.ahead) return undefined;
    this.#untilRoom ??= Promise.withResolvers<void>();
    return this.#untilRoom.promise;
  }

  async #add(webhook: Waiting): Promise<void> {
    await this.#batcher.add(webhook.account, webhook, webhook.raw.length);
  }

  #restMs(commitMs: number): number {
    if (this.#journaled.size < this.#options.size) this.#burstAt = undefined;
    if (!this.#journal.isPressed) return 0;
    const now = this.#options.clock.monotonic();
    this.#burstAt ??= now;
    const left = Math.max(0, 1 - (now - this.#burstAt) / BURST_MS);
    return Math.min(MAX_REST_MS, REST * commitMs * left);
  }

  async idle(): Promise<void> {
    await this.#journal.idle();
    await this.#batcher.idle();
  }

  /** What was committed before one slice failed stays: when all of it comes again there is less left to do. */
  async #commit(waiting: readonly Waiting[]): Promise<void> {
    const now = this.#options.clock.now();
    for (const some of slices(readOneByOne(waiting, now), PIECES)) await this.#commitSome(some);
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
        await this.#commitSome([partOf(only, webhook.items.slice(0, half), false)]);
        await this.#commitSome([partOf(only, webhook.items.slice(half), true)]);
        return;
      }
      // It would come for days and fail each time; so it is kept for whoever mends it.
      this.#options.reports.notStored(error);
      await setAside(this.#options.db, only);
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
