import type { Logger } from "../logger.ts";
import type { Session } from "./connection.ts";
import type { StreamState } from "./types.ts";
import type { Wire } from "./wire.ts";

/** What a consumer needs of its bus. */
export type ConsumerDeps = {
  readonly logger: Logger;
  nextSession(signal: AbortSignal): Promise<Session | undefined>;
  streamState(wire: Wire, name: string): Promise<StreamState>;
  ensureStreams(wire: Wire): Promise<void>;
};

/** One way of consuming: runs on one connection until that ends or the consumer is gone. */
export type ConsumerRunner = {
  /** Resolves with why it ended, throws what JetStream refused. */
  run(session: Session, signal: AbortSignal): Promise<string>;
  /** Waits for handlers that run. */
  drain(): Promise<void>;
};

/** A promise of the first of: the puller's end, the signal. */
export function untilEnded(ended: Promise<string>, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const onAbort = (): void => resolve("stopped");
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    void (async () => {
      const reason = await ended;
      signal.removeEventListener("abort", onAbort);
      resolve(reason);
    })();
  });
}
