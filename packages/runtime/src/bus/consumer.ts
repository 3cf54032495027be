import { abortableSleep } from "./abort.ts";
import type { Session } from "./connection.ts";
import { createDurableRunner } from "./durable.ts";
import { createOrderedRunner } from "./ordered.ts";
import type { ConsumerDeps } from "./runner.ts";
import type { ConsumeOptions } from "./types.ts";

const LONGEST_PAUSE_MS = 10_000;

/** Keeps a consumer going over breaks of the connection, lost consumers and lost streams. */
export function startConsumer(
  deps: ConsumerDeps,
  options: ConsumeOptions,
): { close(): Promise<void> } {
  const stop = new AbortController();
  const isOrdered = "ordered" in options;
  const logger = deps.logger.child(isOrdered ? { ordered: true } : { durable: options.durable });
  const runner = isOrdered
    ? createOrderedRunner({ ...deps, logger }, options)
    : createDurableRunner({ ...deps, logger }, options);

  async function loop(): Promise<void> {
    let failureCount = 0;
    let previous: Session | undefined;
    for (;;) {
      const session = await deps.nextSession(stop.signal);
      if (session === undefined) return;
      if (session !== previous) failureCount = 0;
      previous = session;
      const startedAt = performance.now();
      let reason: string;
      try {
        reason = await runner.run(session, AbortSignal.any([stop.signal, session.signal]));
      } catch (error) {
        reason = "not started";
        if (!stop.signal.aborted && !session.signal.aborted) {
          logger.warn({ err: error, attempt: failureCount + 1 }, "consumer not started");
        }
      }
      if (stop.signal.aborted) return;
      if (session.signal.aborted) continue;
      // Still connected, so the consumer or its stream is gone, or a leader is being elected.
      if (performance.now() - startedAt > LONGEST_PAUSE_MS) failureCount = 0;
      failureCount += 1;
      logger.warn({ reason, attempt: failureCount }, "consumer ended, starting it again");
      await deps.ensureStreams(session.wire);
      await abortableSleep(
        Math.min(LONGEST_PAUSE_MS, 50 * 2 ** Math.min(failureCount, 10)),
        stop.signal,
      );
    }
  }

  const done = loop();
  return {
    close: async () => {
      stop.abort();
      await done;
      await runner.drain();
    },
  };
}
