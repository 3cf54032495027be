/**
 * Bounds how many connections of this worker are being opened at once, so that a cold start of thousands
 * of numbers neither starves the event loop nor looks like an attack. First come, first served; jitter
 * spreads the start of a herd.
 */
import type { Clock } from "@manyline/runtime";

export type Opener = {
  /** Waits for a place; the answer gives it back. Rejects when the signal aborts. */
  enter(signal: AbortSignal): Promise<() => void>;
  readonly inFlight: number;
  readonly waiting: number;
};

export function createOpener(clock: Clock, limit: number, jitterMs: number): Opener {
  const waiting: (() => void)[] = [];
  let inFlight = 0;

  function leave(): void {
    inFlight -= 1;
    waiting.shift()?.();
  }

  return {
    enter: async (signal) => {
      signal.throwIfAborted();
      if (inFlight >= limit) {
        const turn = Promise.withResolvers<void>();
        waiting.push(turn.resolve);
        await turn.promise;
      }
      inFlight += 1;
      let isHeld = true;
      const release = (): void => {
        if (isHeld) leave();
        isHeld = false;
      };
      try {
        // Alone there is no herd to spread: a person who waits gets the connection at once.
        if (inFlight > 1) await clock.sleep(Math.random() * jitterMs, signal);
        signal.throwIfAborted();
        return release;
      } catch (error) {
        release();
        throw error;
      }
    },
    get inFlight() {
      return inFlight;
    },
    get waiting() {
      return waiting.length;
    },
  };
}
