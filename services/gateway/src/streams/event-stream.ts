import {
  eventNoOf,
  eventsSince,
  feedStart,
  isUnavailable,
  listNumbers,
  withCompany,
} from "@manyline/db";
import type { Executor, FeedPosition, FeedScope, StoredEvent } from "@manyline/db";
import { stillHolds } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { watchMs, watchNumber } from "../watch.ts";
import { LATE_MS, Seen } from "./seen.ts";
import type { SseMessage, SseResponse } from "./sse.ts";
import { StreamView } from "./stream-view.ts";
import type { StreamRequest } from "./stream-view.ts";

/** `stopping`: this process ends, the reader shall come again; `left`: the reader went. */
export type StreamEnd =
  | "stopping"
  | "left"
  | "slow"
  | "expired"
  | "revoked"
  | "number_removed"
  | "company_removed";

const HEARTBEAT_MS = 15_000;
const POLL_CONNECTED_MS = 5_000;
const POLL_LAGGING_MS = 1_000;
/** How often a stream looks for commits that were later than usual. */
const THOROUGH_MS = 5_000;
/** Between two readings of the log, so that a burst of events is one reading. */
const LEAST_PAUSE_MS = 50;
/** What is read, and so held in memory, before it is sent. */
const PAGE = { events: 100, bytes: 256 * 1_024 };

/** What came of one look: whether to look again at once, and a reason when an event ends the stream. */
type Looked = { readonly hasMore: boolean; readonly end?: StreamEnd | undefined };
type Replay = { readonly from: FeedPosition; readonly isBegun: boolean };
type Told = { readonly event: StoredEvent; readonly message: SseMessage | undefined };

/**
 * One open stream. It has one source, the event log in Postgres; the bus wakes it, and while the bus is
 * away it looks every second and says so (`lag`). What it sends it reads in a short transaction and sends
 * after it, page by page: a reader that takes nothing holds up its own stream and no connection of the pool.
 */
export class EventStream {
  readonly #deps: Deps;
  readonly #request: StreamRequest;
  readonly #sse: SseResponse;
  readonly #scope: FeedScope;
  readonly #view: StreamView;
  /** Undefined until the first state was sent. */
  #seen: Seen | undefined;
  /** What Last-Event-ID or `since` ask for and was not repeated yet. */
  #replay: Replay | undefined;
  #thoroughAt = 0;
  /** Postgres' clock less ours. */
  #clockOffsetMs = 0;
  #isLagging = false;
  #isDatabaseDown = false;
  readonly #watched = new Map<number, { companyNo: number; numberNo: number }>();
  #wake = Promise.withResolvers<void>();

  constructor(deps: Deps, request: StreamRequest, sse: SseResponse) {
    this.#deps = deps;
    this.#request = request;
    this.#sse = sse;
    this.#scope = { companyNo: request.tenant.companyNo, numberNo: request.numberNo };
    this.#view = new StreamView(deps.keyring, request, () => this.#now());
  }

  /** Something may have happened. */
  wake(): void {
    this.#wake.resolve();
  }

  /** Sends until the reader goes, the token ends, or `signal`. Resolves with the reason. */
  async run(signal: AbortSignal): Promise<StreamEnd> {
    const { clock } = this.#deps;
    signal.addEventListener("abort", () => this.wake(), { once: true });
    await this.#sse.retryAfter(2_000);
    let heartbeatAt = clock.monotonic() + HEARTBEAT_MS;
    let watchAt = clock.monotonic();
    while (this.#sse.isOpen && !signal.aborted) {
      const looked = await this.#whileUp(() => this.#look());
      if (looked?.end) return looked.end;
      const now = clock.monotonic();
      if (now >= watchAt) {
        watchAt = now + watchMs(clock) / 3;
        await this.#whileUp(() => this.#keepWatch());
      }
      if (now >= heartbeatAt || this.#isExpired()) {
        heartbeatAt = now + HEARTBEAT_MS;
        await this.#sse.heartbeat();
        if (this.#isExpired()) return "expired";
        const isGood = await this.#whileUp(() => stillHolds(this.#deps, this.#request.principal));
        if (isGood === false) return "revoked";
      }
      await this.#tellLag();
      if (looked?.hasMore) continue;
      await this.#pause(Math.min(heartbeatAt, watchAt) - clock.monotonic());
    }
    if (signal.aborted) return "stopping";
    return this.#sse.wasSlow ? "slow" : "left";
  }

  /** The state first, then what was missed since Last-Event-ID, then what is new. */
  #look(): Promise<Looked> {
    if (!this.#seen) return this.#sendState();
    return this.#replay ? this.#repeat(this.#seen, this.#replay) : this.#sendNew(this.#seen);
  }

  async #sendState(): Promise<Looked> {
    const { lastEventId, since } = this.#request;
    const { companyNo } = this.#scope;
    const { start, afterNo, snapshot } = await this.#inCompany(async (tx) => {
      const begin = await feedStart(tx, companyNo, LATE_MS);
      this.#clockOffsetMs = begin.now.getTime() - this.#deps.clock.now().getTime();
      return {
        start: begin,
        afterNo:
          lastEventId === undefined ? undefined : await eventNoOf(tx, companyNo, lastEventId),
        // What the log holds by now is told by the state, which is read after it.
        snapshot: await this.#view.snapshot(tx),
      };
    });
    this.#seen = new Seen(start);
    if (afterNo !== undefined) this.#replay = { from: { afterNo }, isBegun: false };
    else if (since && lastEventId === undefined) {
      this.#replay = { from: { afterNo: 0, since }, isBegun: false };
    }
    if (snapshot.number) this.#watched.set(snapshot.number.numberNo, snapshot.number);
    await this.#sse.send(snapshot.message);
    if (lastEventId !== undefined && afterNo === undefined) {
      await this.#sse.send({ event: "lost", data: { lastEventId } });
    }
    return { hasMore: true };
  }

  /** A page of what was missed, however much it is; after the last one the state again, if anything was. */
  async #repeat(seen: Seen, { from, isBegun }: Replay): Promise<Looked> {
    const { told, hasMore } = await this.#read(from);
    const afterNo = told.at(-1)?.event.eventNo ?? from.afterNo;
    this.#replay = hasMore ? { from: { ...from, afterNo }, isBegun: true } : undefined;
    const end = await this.#tell(seen, told);
    if (end || hasMore || (!isBegun && told.length === 0)) return { hasMore: true, end };
    const { message } = await this.#inCompany((tx) => this.#view.snapshot(tx));
    await this.#sse.send(message);
    return { hasMore: true };
  }

  /** A page of what is new in the log. */
  async #sendNew(seen: Seen): Promise<Looked> {
    const now = this.#deps.clock.monotonic();
    const isThorough = now >= this.#thoroughAt;
    const readAt = this.#now();
    const { told, hasMore } = await this.#read(seen.position(isThorough));
    if (isThorough) this.#thoroughAt = now + THOROUGH_MS;
    const last = told.at(-1)?.event;
    const end = await this.#tell(seen, told);
    // Of a page that is not the last, everything up to its last event was read.
    seen.readUntil(hasMore && last ? last.createdAt : readAt, isThorough);
    return { hasMore, end };
  }

  #read(position: FeedPosition): Promise<{ told: Told[]; hasMore: boolean }> {
    return this.#inCompany(async (tx) => {
      const page = await eventsSince(tx, this.#scope, position, PAGE);
      const told: Told[] = [];
      for (const event of page.events) {
        told.push({ event, message: await this.#view.event(tx, event) });
      }
      return { told, hasMore: page.hasMore };
    });
  }

  /** Sends what was read; a reason when an event among it ends the stream. */
  async #tell(seen: Seen, told: readonly Told[]): Promise<StreamEnd | undefined> {
    const messages: SseMessage[] = [];
    let end: StreamEnd | undefined;
    for (const { event, message } of told) {
      seen.add(event);
      this.#followPairing(event);
      if (message) messages.push(message);
      end = this.#endBy(event);
      if (end) break;
    }
    await this.#sse.send(...messages);
    return end;
  }

  #endBy({ type, numberNo }: StoredEvent): StreamEnd | undefined {
    if (type === "company.removed") return "company_removed";
    const isOwn = numberNo !== null && numberNo === this.#scope.numberNo;
    return type === "number.removed" && isOwn ? "number_removed" : undefined;
  }

  /** A stream of a whole company keeps alive the attempts it hears of. */
  #followPairing({ type, numberNo }: StoredEvent): void {
    if (numberNo === null || this.#scope.numberNo !== null) return;
    if (type === "pairing.started" || type.endsWith("_issued")) {
      this.#watched.set(numberNo, { companyNo: this.#scope.companyNo, numberNo });
    } else if (/^pairing\.(succeeded|failed|abandoned)$|^number\.removed$/.test(type)) {
      this.#watched.delete(numberNo);
    }
  }

  async #keepWatch(): Promise<void> {
    await this.#inCompany(async (tx) => {
      const existing = await listNumbers(tx, this.#scope.companyNo);
      for (const number of existing) {
        if (this.#watched.has(number.numberNo)) await watchNumber(tx, this.#deps.clock, number);
      }
    });
  }

  async #tellLag(): Promise<void> {
    const isLagging = this.#isDatabaseDown || !this.#deps.bus.connected;
    if (isLagging === this.#isLagging) return;
    this.#isLagging = isLagging;
    const serverTime = this.#now().toISOString();
    await this.#sse.send({ event: "lag", data: { lagging: isLagging, serverTime } });
  }

  /** While Postgres cannot be asked, a stream stays open and tries again. */
  async #whileUp<T>(ask: () => Promise<T>): Promise<T | undefined> {
    try {
      const answer = await ask();
      this.#isDatabaseDown = false;
      return answer;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      this.#isDatabaseDown = true;
      return undefined;
    }
  }

  async #pause(untilMs: number): Promise<void> {
    const { clock } = this.#deps;
    await clock.sleep(LEAST_PAUSE_MS);
    const pollMs = this.#isLagging ? POLL_LAGGING_MS : POLL_CONNECTED_MS;
    const { expiresAt } = this.#request.principal;
    const expiryMs = expiresAt ? expiresAt.getTime() - this.#now().getTime() : pollMs;
    const pauseMs = Math.max(0, Math.min(untilMs, pollMs, expiryMs) - LEAST_PAUSE_MS);
    const cancel = clock.setTimer(pauseMs, () => this.wake());
    await this.#wake.promise;
    cancel();
    this.#wake = Promise.withResolvers<void>();
  }

  #isExpired(): boolean {
    const { expiresAt } = this.#request.principal;
    return expiresAt !== null && expiresAt <= this.#now();
  }

  /** By the clock of Postgres, which wrote every other time the reader sees. */
  #now(): Date {
    return new Date(this.#deps.clock.now().getTime() + this.#clockOffsetMs);
  }

  #inCompany<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    return withCompany(this.#deps.appDb, this.#scope.companyNo, work);
  }
}
