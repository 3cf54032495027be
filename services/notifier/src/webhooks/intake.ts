/**
 * Puts events off the stream into the queues of those who subscribe to them. One notifier does it at a time, so that nothing
 * overtakes: it reads the stream in order, and its place is committed with what it queues.
 */
import { setTimeout as delay } from "node:timers/promises";
import { EVENTS_STREAM, parseEvent } from "@manyline/contracts";
import { filtersOf, WEBHOOK_FIGURES } from "@manyline/contracts/webhooks";
import {
  asOnlyReader,
  type Database,
  errorCode,
  intakePlace,
  isUnavailable,
  type QueuedEvent,
  queueDeliveries,
  releaseDeliveries,
} from "@manyline/db";
import type { Bus, Clock, StreamMessage } from "@manyline/runtime";
import type { Reports } from "../reports.ts";
import { Gaps } from "./gaps.ts";
import type { Queues } from "./queues.ts";

const BATCH = 200;
/** Read and not yet queued; then the stream waits. */
const AHEAD = 1_000;
const CHATS = 100_000;
/** So long after its start a reader may meet what the one before it had half. */
const YOUNG_MS = 10_000;
const PAUSE_MS = 1_000;
/** Classes of SQLSTATE: data exceptions. */
const BAD_VALUE = "22";
const PLACE_MS = 1_000;
const WAKE_MS = 5;

type Arrived = { incarnation: string; seq: number; event: QueuedEvent | undefined };
type Released = { companyId: string; chat: string; seq: number };
export type IntakeOptions = {
  bus: Bus;
  db: Database;
  queues: Queues;
  reports: Reports;
  clock: Clock;
};

/** Reads, or waits until whoever reads is gone. */
export class Intake {
  readonly #options: IntakeOptions;
  readonly #ending = new AbortController();
  #gaps: Gaps;
  #placedAt = 0;
  #running: Promise<void> = Promise.resolve();
  #isReading = false;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#gaps = this.#newGaps();
  }

  /** It is this process that reads the stream. */
  get isReading(): boolean {
    return this.#isReading;
  }

  start(): void {
    this.#running = this.#run();
  }

  /** What is in hand and not queued is read again by whoever goes on. */
  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { bus, db, reports } = this.#options;
    const { signal } = this.#ending;
    while (!signal.aborted) {
      try {
        if (bus.connected)
          await asOnlyReader(db, (gone) => this.#read(AbortSignal.any([signal, gone])));
      } catch (error) {
        reports.queueFailed(error);
      } finally {
        this.#isReading = false;
      }
      await delay(PAUSE_MS, undefined, { signal }).catch(() => undefined);
    }
  }

  /** Until the signal, or until something is wrong; whoever begins then goes on at the place that was committed. */
  async #read(signal: AbortSignal): Promise<void> {
    const { bus, db } = this.#options;
    this.#isReading = true;
    // Others may have read in between.
    this.#gaps = this.#newGaps();
    const place = await intakePlace(db);
    const state = await bus.streamState(EVENTS_STREAM);
    let incarnation = state.incarnation;
    const isSame = place?.incarnation === incarnation && place.streamSeq <= state.lastSeq;
    const arrived: Arrived[] = [];
    let isClosed = false;
    let wake = (): void => undefined;
    let drained = (): void => undefined;
    const reader = bus.consume({
      stream: EVENTS_STREAM,
      ordered: true,
      incarnation,
      startAt: isSame ? { seq: place.streamSeq + 1 } : "all",
      onReset: (reset) => {
        incarnation = reset.incarnation;
      },
      handler: async (message) => {
        if (isClosed) return;
        arrived.push({ incarnation, seq: message.seq, event: this.#eventOf(message) });
        wake();
        if (arrived.length >= AHEAD) {
          await new Promise<void>((resolve) => {
            drained = resolve;
          });
        }
      },
    });
    const offline = new AbortController();
    // Somebody else may have a connection.
    const endStatus = bus.onStatus(({ connected }) => {
      if (!connected) offline.abort();
    });
    const ended = AbortSignal.any([signal, offline.signal]);
    const onAbort = (): void => wake();
    ended.addEventListener("abort", onAbort, { once: true });
    try {
      while (!ended.aborted) {
        const batch = arrived.splice(0, BATCH);
        if (arrived.length < AHEAD) drained();
        if (batch.length > 0) {
          await this.#queueAll(batch);
          continue;
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (ended.aborted || arrived.length > 0) resolve();
        });
      }
    } finally {
      isClosed = true;
      drained();
      endStatus();
      await reader.close();
    }
  }

  #newGaps(): Gaps {
    const { gapMs, firstGapMs } = WEBHOOK_FIGURES;
    const youngUntilMs = this.#options.clock.monotonic() + YOUNG_MS;
    return new Gaps({ gapMs, firstGapMs, youngUntilMs, most: CHATS });
  }

  /** One that the database refuses must not hold up the others. */
  async #queueAll(batch: readonly Arrived[]): Promise<void> {
    try {
      await this.#queue(batch);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      this.#options.reports.queueFailed(error);
      for (const one of batch) {
        await this.#queue([one]).catch((reason: unknown) => {
          if (!errorCode(reason)?.startsWith(BAD_VALUE)) throw reason;
          this.#options.reports.unreadable("refused by the database");
        });
      }
    }
  }

  async #queue(batch: readonly Arrived[]): Promise<void> {
    const { db, queues, clock } = this.#options;
    const last = batch.at(-1);
    if (!last) return;
    const released: Released[] = [];
    const events = batch.flatMap(({ event }) => {
      if (!event) return [];
      const { chat, seq, companyId } = event;
      if (chat === null || seq === null) return [event];
      const { holdMs, releaseTo } = this.#gaps.place(chat, seq, clock.monotonic());
      if (releaseTo !== undefined) released.push({ companyId, chat, seq: releaseTo });
      return [{ ...event, holdMs }];
    });
    // What nobody asks for may be looked at twice.
    const isKept = clock.monotonic() - this.#placedAt >= PLACE_MS;
    const place = { incarnation: last.incarnation, streamSeq: last.seq, isKept };
    if (events.length === 0 && !isKept) return;
    const keys = await queueDeliveries(db, events, place);
    if (isKept || keys.length > 0) this.#placedAt = clock.monotonic();
    if (released.length > 0) await releaseDeliveries(db, released);
    for (const key of keys) queues.wake(key);
    const holdMs = Math.min(...events.map((event) => event.holdMs).filter((ms) => ms > 0));
    if (!Number.isFinite(holdMs) || keys.length === 0) return;
    // A sweep finds what this misses.
    const timer = setTimeout(() => {
      for (const key of keys) queues.wake(key);
    }, holdMs + WAKE_MS);
    timer.unref();
  }

  /** Undefined: nobody can subscribe to it. */
  #eventOf(message: StreamMessage): QueuedEvent | undefined {
    const event = readEvent(message);
    if (typeof event !== "string") return event;
    this.#options.reports.unreadable(event);
    return undefined;
  }
}

/** A text: why it cannot be read. */
function readEvent({ data }: StreamMessage): QueuedEvent | string {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(data));
  } catch {
    return "not-json";
  }
  const parsed = parseEvent(value);
  if (!parsed.ok) return parsed.reason;
  const { id, type, companyid, seq, time, data: facts } = parsed.envelope;
  return {
    eventId: id,
    companyId: companyid,
    type,
    filters: filtersOf(type),
    chat: chatOf(facts),
    seq: seq ?? null,
    at: new Date(time),
    holdMs: 0,
  };
}

/** What is in no chat has no order. */
function chatOf(data: unknown): string | null {
  const { chat } = Object(data) as { chat?: unknown };
  const { id } = Object(chat) as { id?: unknown };
  return typeof id === "string" ? id : null;
}
