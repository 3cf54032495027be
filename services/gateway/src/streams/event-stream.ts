import {
  eventsAfter,
  eventsSince,
  isUnavailable,
  listNumbers,
  readStatus,
  withCompany,
} from "@manyline/db";
import type { Executor, FedEvent, FeedScope, StatusRow } from "@manyline/db";
import { hasScope, stillHolds } from "../auth.ts";
import type { Deps } from "../deps.ts";
import { statusAnswer, statusWithoutNumber } from "../domain/answers.ts";
import { companyRow, findNumber } from "../numbers.ts";
import type { Principal, Tenant } from "../request-types.ts";
import { watchMs, watchNumber } from "../watch.ts";
import { Seen } from "./seen.ts";
import { withAttemptSecret, withEventSecret } from "./secrets.ts";
import type { SseResponse } from "./sse.ts";

export type StreamRequest = {
  readonly tenant: Tenant;
  readonly principal: Principal;
  /** Undefined: all numbers of the company. */
  readonly numberNo: number | null;
  readonly lastEventId: string | undefined;
};

/** `stopping`: this process ends, the reader shall come again; `left`: the reader went. */
export type StreamEnd =
  | "stopping"
  | "left"
  | "expired"
  | "revoked"
  | "number_removed"
  | "company_removed";

/** How late a commit may appear in the log and still be sent. */
const OVERLAP_MS = 5_000;
const HEARTBEAT_MS = 15_000;
const POLL_CONNECTED_MS = 5_000;
const POLL_LAGGING_MS = 1_000;
/** Between two readings of the log, so that a burst of events is one reading. */
const LEAST_PAUSE_MS = 50;
const MAX_REPLAY = 1_000;

/** What a stream without `read` is told about: the linking of phones, no messages. */
const PAIRING_FAMILIES = new Set(["session", "pairing", "number", "company"]);

type Message = Parameters<SseResponse["send"]>[0];

/**
 * One open stream. What it sends is read in a transaction and sent after it: a reader that takes nothing holds
 * its own stream up and no connection of the pool. It has one source, the event log in Postgres; the bus wakes it, and while the bus is
 * away it looks every second and says so (`lag`).
 */
export class EventStream {
  readonly #deps: Deps;
  readonly #request: StreamRequest;
  readonly #sse: SseResponse;
  readonly #scope: FeedScope;
  #seen = new Seen(new Date(0), OVERLAP_MS);
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
    await this.#open();
    let heartbeatAt = clock.monotonic() + HEARTBEAT_MS;
    let watchAt = clock.monotonic();
    while (this.#sse.isOpen && !signal.aborted) {
      const end = await this.#whileUp(() => this.#sendNew());
      if (end) return end;
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
      await this.#pause(Math.min(heartbeatAt, watchAt) - clock.monotonic());
    }
    return signal.aborted ? "stopping" : "left";
  }

  /** The state first, then what was missed since Last-Event-ID, and the state again if anything was. */
  async #open(): Promise<void> {
    const { lastEventId } = this.#request;
    const { state, missed } = await this.#inCompany(async (tx) => {
      const now = (await this.#status(tx))?.dbNow ?? this.#deps.clock.now();
      this.#clockOffsetMs = now.getTime() - this.#deps.clock.now().getTime();
      this.#seen = new Seen(now, OVERLAP_MS);
      const found =
        lastEventId === undefined
          ? undefined
          : await eventsAfter(tx, this.#scope, lastEventId, MAX_REPLAY);
      // What the log holds by now is told by the state, which is read after it.
      for (const event of await eventsSince(tx, this.#scope, this.#seen.since)) {
        this.#seen.isNew(event);
      }
      const snapshot = await this.#snapshot(tx);
      return { state: snapshot, missed: await this.#messages(tx, found ?? []) };
    });
    await this.#sse.send(state);
    if (missed.length === 0) return;
    for (const { event, message } of missed) {
      this.#seen.isNew(event);
      if (message) await this.#sse.send(message);
    }
    await this.#sse.send(await this.#inCompany((tx) => this.#snapshot(tx)));
  }

  /** What is new in the log; a reason when an event ends the stream. */
  async #sendNew(): Promise<StreamEnd | undefined> {
    const readAt = this.#now();
    const fresh = await this.#inCompany(async (tx) => {
      const events = await eventsSince(tx, this.#scope, this.#seen.since);
      return this.#messages(
        tx,
        events.filter((event) => !this.#seen.has(event)),
      );
    });
    for (const { event, message } of fresh) {
      this.#seen.isNew(event);
      if (message) await this.#sse.send(message);
      if (event.type === "company.removed") return "company_removed";
      if (event.type === "number.removed" && event.numberNo === this.#scope.numberNo) {
        return "number_removed";
      }
    }
    this.#seen.readUntil(readAt);
    return undefined;
  }

  /** Each event with what this reader is told of it, which may be nothing. */
  async #messages(
    tx: Executor,
    events: readonly FedEvent[],
  ): Promise<{ event: FedEvent; message: Message | undefined }[]> {
    const told: { event: FedEvent; message: Message | undefined }[] = [];
    for (const event of events) told.push({ event, message: await this.#message(tx, event) });
    return told;
  }

  async #message(tx: Executor, event: FedEvent): Promise<Message | undefined> {
    const { principal } = this.#request;
    const family = event.type.slice(0, event.type.indexOf("."));
    if (!PAIRING_FAMILIES.has(family) && !hasScope(principal, "read")) return undefined;
    this.#followPairing(event);
    const data = hasScope(principal, "pair")
      ? await withEventSecret(tx, this.#vault(), event)
      : event.envelope.data;
    return {
      id: event.eventId,
      event: event.type,
      data: { ...event.envelope, data, serverTime: this.#now().toISOString() },
    };
  }

  async #snapshot(tx: Executor): Promise<Message> {
    const row = await this.#status(tx);
    const answer = row
      ? statusAnswer(row)
      : statusWithoutNumber(await companyRow(tx, this.#request.tenant), this.#now());
    if (row) this.#watched.set(row.number.numberNo, row.number);
    const mayPair = hasScope(this.#request.principal, "pair");
    const data = mayPair ? await withAttemptSecret(tx, this.#vault(), answer) : answer;
    return { event: "snapshot", data };
  }

  async #status(tx: Executor): Promise<StatusRow | undefined> {
    const { tenant, principal, numberNo } = this.#request;
    if (numberNo !== null) return readStatus(tx, tenant.companyNo, numberNo);
    const primary = await findNumber(tx, tenant, principal, undefined);
    return primary && readStatus(tx, tenant.companyNo, primary.numberNo);
  }

  /** A stream of a whole company keeps alive the attempts it hears of. */
  #followPairing({ type, numberNo }: FedEvent): void {
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

  #vault(): Parameters<typeof withEventSecret>[1] {
    return { keyring: this.#deps.keyring, companyNo: this.#scope.companyNo };
  }

  #inCompany<T>(work: (tx: Executor) => Promise<T>): Promise<T> {
    return withCompany(this.#deps.appDb, this.#scope.companyNo, work);
  }
}
