import { eventText } from "@manyline/contracts";
import { type Database, type Executor, inTransaction } from "../open.ts";
import type { StoredEvent } from "../repositories/events.ts";
import {
  highestMarked,
  lockOpen,
  type Mark,
  markPublished,
  type Publication,
  unmarkFrom,
  unmarkOthers,
} from "./marks.ts";

/** What the relay needs of the bus. `bytes` is the envelope as JSON. */
export type Publisher = {
  /** Resolves when the stream has stored it; for a repeated msgId `seq` is the first one's. */
  publish: (subject: string, bytes: Buffer, msgId: string) => Promise<{ seq: number }>;
  /** `incarnation`: the stream's creation time. */
  streamState: () => Promise<{ incarnation: string; lastSeq: number }>;
};

type Log = (fields: Record<string, unknown>, message: string) => void;

export type EventRelayOptions = {
  /** Role relay. */
  db: Database;
  publisher: Publisher;
  logger: { debug: Log; info: Log; warn: Log };
  /** Pause between two looks for unmarked events. */
  sweepMs?: number;
  /** How long an event is left to the process that committed it. */
  unmarkedAfterMs?: number;
  /** Pause between two comparisons with the stream. */
  compareMs?: number;
  /** How far back the stream is filled: as long as it keeps events. */
  windowMs?: number;
};

/** What a round of publishing has stored, and in which incarnation at the latest. */
/** `count`: how many events the stream has stored. */
type Sent = { incarnation: string; marks: Mark[]; count: number };

const SWEEP_BATCH = 200;
const OWN_BATCH = 256;
/** Own commits waiting for publication; what exceeds it is left to the sweeper. */
const MAX_WAITING = 10_000;
/** Marks an event that was deleted before it was published. */
const GONE = 0;

/**
 * Publishes the event log into the stream and keeps the stream filled.
 *
 * Each process publishes its own commits (`publish`, in their order). What it does not manage, because
 * NATS is away or the process died, the sweeper of any process publishes. Each event is marked, in the row of
 * the publication it belongs to, with the stream's incarnation and the sequence of the acknowledgement. Marks
 * tell when the stream has lost what it acknowledged: another incarnation, a last sequence below a marked one,
 * or a sequence given twice. Then the events concerned are unmarked, and so published again with the same id:
 * subscribers get every event at least once.
 */
export class EventRelay implements AsyncDisposable {
  readonly #db: Database;
  readonly #publisher: Publisher;
  readonly #logger: EventRelayOptions["logger"];
  readonly #sweepMs: number;
  readonly #unmarkedAfterMs: number;
  readonly #compareMs: number;
  readonly #windowMs: number;
  readonly #waiting: Publication[] = [];
  #waitingCount = 0;
  #pump: Promise<void> | undefined;
  #comparing: Promise<void> | undefined;
  #comparedAt = -Infinity;
  /** The stream's, read before publishing; undefined: to be read. */
  #incarnation: string | undefined;
  #isFailing = false;
  #loop: Promise<void> | undefined;
  #stopping = new AbortController();

  constructor(options: EventRelayOptions) {
    this.#db = options.db;
    this.#publisher = options.publisher;
    this.#logger = options.logger;
    this.#sweepMs = options.sweepMs ?? 1_000;
    this.#unmarkedAfterMs = options.unmarkedAfterMs ?? 2_000;
    this.#compareMs = options.compareMs ?? 30_000;
    this.#windowMs = options.windowMs ?? 48 * 3_600_000;
  }

  /** Publishes events of a commit, right after it and in their order. Never throws; the sweeper is the net. */
  publish(events: readonly StoredEvent[]): void {
    if (this.#stopping.signal.aborted || this.#waitingCount > MAX_WAITING) return;
    for (const publication of publicationsOf(events)) {
      this.#waiting.push(publication);
      this.#waitingCount += publication.events.length;
    }
    this.#pump ??= this.#publishWaiting().finally(() => {
      this.#pump = undefined;
    });
  }

  /** Resolves when everything handed to `publish` so far was tried. */
  async flushed(): Promise<void> {
    while (this.#pump) await this.#pump;
  }

  /** Starts sweeping and comparing. A process that only publishes its own commits need not. */
  start(): void {
    this.#loop ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await Promise.all([this.#loop, this.flushed(), this.#comparing]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Call at every new connection to NATS: the stream may be another, or have lost its end. Never throws. */
  async onReconnect(): Promise<void> {
    this.#incarnation = undefined;
    await this.#compareSafely();
  }

  /**
   * Compares the marks with the stream and unmarks what it has lost; the sweeper publishes it again.
   * Returns how many events that are. Throws when NATS or Postgres is away.
   */
  async compare(): Promise<number> {
    const state = await this.#publisher.streamState();
    this.#incarnation = state.incarnation;
    this.#comparedAt = performance.now();
    const others = await unmarkOthers(this.#db, state.incarnation, this.#windowMs);
    let rolledBack = 0;
    const highest = await highestMarked(this.#db, state.incarnation, this.#windowMs);
    if (highest > state.lastSeq) {
      // Somebody may have published since the first look; a stream that lost its end has not grown past it.
      const again = await this.#publisher.streamState();
      if (again.incarnation === state.incarnation && again.lastSeq < highest) {
        const from = again.lastSeq + 1;
        rolledBack = await unmarkFrom(this.#db, state.incarnation, from, this.#windowMs);
      }
    }
    if (others + rolledBack > 0) {
      this.#logger.warn(
        { event: "relay.refill", newStream: others, rolledBack, incarnation: state.incarnation },
        "the stream lost events: publishing them again",
      );
    }
    return others + rolledBack;
  }

  /**
   * Publishes unmarked events in the order of writing until none is left that is old enough. Returns how
   * many were published. Throws when Postgres is away.
   */
  async sweep(): Promise<number> {
    let published = 0;
    let afterNo = 0;
    for (;;) {
      if (this.#stopping.signal.aborted) return published;
      const { count, isAll, lastNo } = await inTransaction(this.#db, async (tx) => {
        const locked = await lockOpen(tx, {
          afterNo,
          unmarkedAfterMs: this.#unmarkedAfterMs,
          windowMs: this.#windowMs,
          limit: SWEEP_BATCH,
        });
        const sent = await this.#send(locked.publications);
        await this.#mark(tx, sent);
        const last = locked.publications.at(-1)?.publicationNo ?? 0;
        return { count: sent.count, isAll: locked.isAll, lastNo: last };
      });
      published += count;
      if (isAll) return published;
      // Nothing went through: NATS is away, or these events cannot be published and others wait behind.
      if (count === 0 && !(await this.#isReachable())) return published;
      afterNo = lastNo;
    }
  }

  async #isReachable(): Promise<boolean> {
    return this.#publisher.streamState().then(
      () => true,
      () => false,
    );
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (performance.now() - this.#comparedAt >= this.#compareMs) await this.#compareSafely();
      try {
        await this.sweep();
      } catch (error) {
        this.#logger.warn({ event: "relay.sweep_failed", err: error }, "events were not swept");
      }
      await sleep(this.#sweepMs, signal);
    }
  }

  /** Comparisons at the same moment share one run. */
  #compareSafely(): Promise<void> {
    this.#comparing ??= this.compare()
      .then(
        () => undefined,
        (error: unknown) => {
          // While NATS is away every look fails: that is told once, by whoever holds the connection.
          this.#logger.debug({ event: "relay.compare_failed", err: error }, "not compared");
        },
      )
      .finally(() => {
        this.#comparing = undefined;
      });
    return this.#comparing;
  }

  async #publishWaiting(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#nextWaiting();
      try {
        // After a reconnect first compare: new sequences would hide that old ones were lost.
        await this.#comparing;
        await this.#mark(this.#db, await this.#send(batch));
      } catch (error) {
        this.#logger.debug({ event: "relay.publish_failed", err: error }, "left to the sweeper");
      }
    }
  }

  #nextWaiting(): Publication[] {
    let count = 0;
    const end = this.#waiting.findIndex(({ events }) => (count += events.length) >= OWN_BATCH);
    const batch = this.#waiting.splice(0, end < 0 ? this.#waiting.length : end + 1);
    this.#waitingCount -= count;
    return batch;
  }

  /** Sends all, in their order, and returns what the stream has stored. Never throws. */
  async #send(publications: readonly Publication[]): Promise<Sent> {
    const nothing: Sent = { incarnation: "", marks: [], count: 0 };
    if (publications.length === 0) return nothing;
    // Taken before publishing: read afterwards it could be that of a stream which never got the event.
    let incarnation = this.#incarnation;
    try {
      incarnation ??= (await this.#publisher.streamState()).incarnation;
      this.#incarnation ??= incarnation;
    } catch (error) {
      this.#report(error, publications.length);
      return nothing;
    }
    let count = 0;
    let failure: unknown;
    const seqOf = async (event: StoredEvent | null): Promise<number | null> => {
      if (event === null) return GONE;
      try {
        const bytes = Buffer.from(eventText(event));
        const { seq } = await this.#publisher.publish(event.natsSubject, bytes, event.eventId);
        count += 1;
        return seq;
      } catch (error) {
        failure = error;
        return null;
      }
    };
    const marks = await Promise.all(
      publications.map(async ({ publicationNo, events }): Promise<Mark> => {
        const eventNos = events.map(({ eventNo }) => eventNo);
        const seqs = await Promise.all(events.map(({ event }) => seqOf(event)));
        return { publicationNo, eventNos, seqs };
      }),
    );
    this.#report(failure, publications.length);
    // One of which nothing went out is left as it is.
    const sent = marks.filter(({ seqs }) => seqs.some((seq) => seq !== null));
    return { incarnation, marks: sent, count };
  }

  async #mark(executor: Executor, { incarnation, marks }: Sent): Promise<void> {
    if (marks.length === 0) return;
    const clash = await markPublished(executor, incarnation, marks, this.#windowMs);
    if (clash === undefined) return;
    const own = marks.map(({ publicationNo }) => publicationNo);
    const count = await unmarkFrom(executor, incarnation, clash, this.#windowMs, own);
    this.#logger.warn(
      { event: "relay.refill", newStream: 0, rolledBack: count, incarnation },
      "the stream gave a sequence twice: publishing again what it lost",
    );
  }

  /** One line when publishing begins to fail and one when it works again. */
  #report(failure: unknown, count: number): void {
    if (failure === undefined) {
      if (this.#isFailing) this.#logger.info({ event: "relay.recovered" }, "events are published");
      this.#isFailing = false;
    } else if (!this.#isFailing) {
      this.#isFailing = true;
      const fields = { event: "relay.failing", count, err: failure };
      this.#logger.warn(fields, "events are not published; they wait in the log");
    }
  }
}

/** One that does not say which it belongs to is left to the sweeper. */
function publicationsOf(events: readonly StoredEvent[]): Publication[] {
  const byNo = Map.groupBy(events, ({ publicationNo }) => publicationNo);
  return [...byNo].flatMap(([publicationNo, own]) => {
    if (publicationNo === undefined) return [];
    const sorted = own.toSorted((a, b) => a.eventNo - b.eventNo);
    return [{ publicationNo, events: sorted.map((event) => ({ eventNo: event.eventNo, event })) }];
  });
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const finish = (): void => {
      clearTimeout(timer);
      signal.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal.addEventListener("abort", finish);
  });
}
