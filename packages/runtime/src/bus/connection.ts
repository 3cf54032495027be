import { abortableSleep, settledWithin } from "./abort.ts";
import type { Logger } from "../logger.ts";
import type { Connect, Wire, WireOptions } from "./wire.ts";
import type { BusStatus } from "./types.ts";

/** One connection from its set-up to its end. `signal` aborts when it is gone. */
export type Session = { readonly wire: Wire; readonly signal: AbortSignal };

export type ConnectionOptions = {
  readonly connect: Connect;
  readonly wire: WireOptions;
  readonly logger: Logger;
  /** Pauses between tries grow from the first to the second; default 100 ms to 2 s, jittered. */
  readonly retryMs?: readonly [first: number, longest: number];
  /** Runs on each new connection before anybody is told of it (subscriptions, streams). */
  readonly prepare: (wire: Wire) => Promise<void>;
};

/** For what is still written when closing; a server that hangs must not hold up the stop. */
const FLUSH_LIMIT_MS = 1_000;

/**
 * Keeps a connection for as long as the process wants one. Each break starts afresh with a new
 * connection instead of the client library's own reconnecting: nothing that was written while
 * disconnected is kept and sent late, and every part on top has one kind of beginning and end.
 */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #stop = new AbortController();
  readonly #listeners = new Set<(status: BusStatus) => void>();
  readonly #waiters = new Set<(session: Session) => void>();
  readonly #done: Promise<void>;
  #session: Session | undefined;
  #status: BusStatus = { connected: false, since: new Date() };

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#done = this.#run();
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get status(): BusStatus {
    return this.#status;
  }

  get isClosed(): boolean {
    return this.#stop.signal.aborted;
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    this.#listeners.add(listener);
    return () => {
      this.#listeners.delete(listener);
    };
  }

  /** The present session or the next one; undefined when `signal` aborts or the bus is closed first. */
  nextSession(signal: AbortSignal): Promise<Session | undefined> {
    if (signal.aborted || this.isClosed) return Promise.resolve(undefined);
    if (this.#session?.signal.aborted === false) return Promise.resolve(this.#session);
    return new Promise((resolve) => {
      const finish = (session: Session | undefined): void => {
        this.#waiters.delete(finish);
        signal.removeEventListener("abort", onAbort);
        this.#stop.signal.removeEventListener("abort", onAbort);
        resolve(session);
      };
      const onAbort = (): void => finish(undefined);
      this.#waiters.add(finish);
      signal.addEventListener("abort", onAbort);
      this.#stop.signal.addEventListener("abort", onAbort);
    });
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #run(): Promise<void> {
    const { logger } = this.#options;
    const [firstMs, longestMs] = this.#options.retryMs ?? [100, 2_000];
    let failureCount = 0;
    while (!this.isClosed) {
      const outcome = await this.#runOnce();
      if (this.isClosed) break;
      if (outcome.wasConnected) failureCount = 0;
      failureCount += 1;
      // One line per break and then one now and then: an outage must not drown the log.
      if (failureCount === 1 || failureCount % 30 === 0) {
        logger.warn(
          { attempt: failureCount, ...(outcome.error === undefined ? {} : { err: outcome.error }) },
          "no connection to NATS",
        );
      }
      this.#setStatus({
        connected: false,
        since: this.#status.connected ? new Date() : this.#status.since,
        ...(outcome.error === undefined ? {} : { error: outcome.error }),
      });
      const pauseMs = Math.min(longestMs, firstMs * 2 ** Math.min(failureCount - 1, 10));
      await abortableSleep(pauseMs * (0.5 + Math.random() / 2), this.#stop.signal);
    }
    this.#setStatus({ connected: false, since: new Date() });
  }

  /** One connection, from the first try to its end. */
  async #runOnce(): Promise<{ wasConnected: boolean; error: Error | undefined }> {
    const { connect, wire: wireOptions, prepare, logger } = this.#options;
    let wire: Wire;
    try {
      wire = await connect(wireOptions);
    } catch (error) {
      return {
        wasConnected: false,
        error: error instanceof Error ? error : new Error(String(error)),
      };
    }
    const ended = new AbortController();
    const end = (): void => ended.abort();
    const gone = wire.closed.finally(end);
    this.#stop.signal.addEventListener("abort", end);
    if (this.isClosed) end();
    try {
      await Promise.race([prepare(wire), gone]);
    } catch (error) {
      logger.error({ err: error }, "a new connection could not be prepared");
      end();
    }
    const wasConnected = !ended.signal.aborted;
    if (wasConnected) {
      this.#begin({ wire, signal: ended.signal });
      logger.info(
        { event: "bus.connected", server_version: wire.serverVersion },
        "connected to NATS",
      );
      await once(ended.signal);
    }
    this.#session = undefined;
    this.#stop.signal.removeEventListener("abort", end);
    if (this.isClosed) {
      await settledWithin(
        wire.flush().catch(() => undefined),
        FLUSH_LIMIT_MS,
      );
    }
    await wire.close();
    return { wasConnected, error: await gone };
  }

  #begin(session: Session): void {
    this.#session = session;
    this.#setStatus({
      connected: true,
      since: new Date(),
      serverVersion: session.wire.serverVersion,
    });
    // A waiter removes itself while it is called, which a Set's iteration allows.
    for (const waiter of this.#waiters) waiter(session);
  }

  #setStatus(status: BusStatus): void {
    const hasChanged = status.connected !== this.#status.connected;
    this.#status = status;
    if (!hasChanged) return;
    for (const listener of this.#listeners) {
      try {
        listener(status);
      } catch (error) {
        this.#options.logger.error({ err: error }, "a status listener failed");
      }
    }
  }
}

function once(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
