/**
 * Bounds how many connections of this worker are being opened at once, so that a cold start of thousands
 * of numbers neither starves the event loop nor looks like an attack. Whoever was connected last comes
 * first; jitter spreads the first of a herd.
 */
import type { Clock } from "@manyline/runtime";

export type Opener = {
  /**
   * Waits for a place; the answer gives it back. Rejects when the signal aborts. `lastActive`: when the number
   * was last connected; null waits behind all others.
   */
  enter(signal: AbortSignal, lastActive: Date | null): Promise<() => void>;
  readonly inFlight: number;
  readonly waiting: number;
};

type Turn = { go: () => void; lastActiveMs: number };

export function createOpener(clock: Clock, limit: number, jitterMs: number): Opener {
  /** The next one at the end. */
  const waiting: Turn[] = [];
  let inFlight = 0;

  function leave(): void {
    inFlight -= 1;
    waiting.pop()?.go();
  }

  /** Before all that are less recent, after its equals. */
  function queue(turn: Turn): void {
    let low = 0;
    let high = waiting.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((waiting[middle]?.lastActiveMs ?? 0) < turn.lastActiveMs) low = middle + 1;
      else high = middle;
    }
    waiting.splice(low, 0, turn);
  }

  return {
    enter: async (signal, lastActive) => {
      signal.throwIfAborted();
      const mustWait = inFlight >= limit;
      if (mustWait) {
        const { promise, resolve: go } = Promise.withResolvers<void>();
        queue({ go, lastActiveMs: lastActive?.getTime() ?? 0 });
        await promise;
      }
      inFlight += 1;
      let isHeld = true;
      const release = (): void => {
        if (isHeld) leave();
        isHeld = false;
      };
      try {
        // Alone there is no herd to spread: a person who waits gets the connection at once. Whoever had to wait
        // for a place comes when another one is done, which spreads them as well.
        if (inFlight > 1 && !mustWait) await clock.sleep(Math.random() * jitterMs, signal);
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
