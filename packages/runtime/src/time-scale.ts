/**
 * Time as a dependency. Services take a `Clock` instead of calling Date.now and setTimeout, so that
 * unit tests can move time by hand and the local stack can shorten long waits (`TIME_SCALE`).
 */
export type Clock = {
  /** How many times faster than life the scaled waits run; 1 in production. */
  readonly timeScale: number;
  /** The wall clock. For what people and other systems see, never for measuring. */
  now(): Date;
  /** Milliseconds from an arbitrary start, never going back. For deadlines and durations. */
  monotonic(): number;
  /** A wait of the rules (60 s, 30 minutes) as it is really waited: `ms / timeScale`. */
  scaled(ms: number): number;
  /** Calls `fn` once after `ms` real milliseconds; the answer cancels it. Not scaled: say `setTimer(clock.scaled(ms), fn)`. */
  setTimer(ms: number, fn: () => void): () => void;
  /** Resolves after `ms` real milliseconds; rejects with the signal's reason when aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
};

/** setTimeout fires at once above this many ms; longer waits are made of several. */
const LONGEST_TIMEOUT_MS = 2_147_483_647;

/** The real clock. `timeScale` must be a positive number. */
export function createClock(options: { timeScale?: number } = {}): Clock {
  const timeScale = options.timeScale ?? 1;
  if (!(timeScale > 0) || !Number.isFinite(timeScale)) {
    throw new RangeError(`timeScale must be a positive number, not ${timeScale}`);
  }
  return makeClock(timeScale, {
    now: () => new Date(),
    monotonic: () => performance.now(),
    setTimer: setRealTimer,
  });
}

/** A clock that stands still until told otherwise. */
export type FakeClock = Clock & {
  /**
   * Moves time on by `ms`, firing timers in order, each at its own moment, and letting promises
   * settle after each: `await clock.advance(60_000)`.
   */
  advance(ms: number): Promise<void>;
  /** Moves the wall clock alone, as a time service correcting it would. */
  setNow(date: Date): void;
  /** How many timers wait; a test that ends with some has leaked them. */
  readonly pendingTimerCount: number;
};

/** For unit tests. Starts at 2026-01-01T00:00:00Z unless told otherwise. */
export function createFakeClock(options: { now?: Date; timeScale?: number } = {}): FakeClock {
  let elapsedMs = 0;
  let wallOffsetMs = (options.now ?? new Date("2026-01-01T00:00:00.000Z")).getTime();
  let serial = 0;
  const timers = new Map<number, { atMs: number; fn: () => void }>();

  function setTimer(ms: number, fn: () => void): () => void {
    serial += 1;
    const id = serial;
    timers.set(id, { atMs: elapsedMs + Math.max(0, ms), fn });
    return () => {
      timers.delete(id);
    };
  }

  async function advance(ms: number): Promise<void> {
    const endMs = elapsedMs + ms;
    await settle();
    for (;;) {
      let next: { id: number; atMs: number; fn: () => void } | undefined;
      for (const [id, timer] of timers) {
        // Map order is the order of setting, so equal moments fire first come, first served.
        if (timer.atMs <= endMs && (next === undefined || timer.atMs < next.atMs)) {
          next = { id, ...timer };
        }
      }
      if (next === undefined) break;
      timers.delete(next.id);
      elapsedMs = next.atMs;
      next.fn();
      await settle();
    }
    elapsedMs = endMs;
  }

  const clock = makeClock(options.timeScale ?? 1, {
    now: () => new Date(wallOffsetMs + elapsedMs),
    monotonic: () => elapsedMs,
    setTimer,
  });
  return {
    ...clock,
    advance,
    setNow: (date) => {
      wallOffsetMs = date.getTime() - elapsedMs;
    },
    get pendingTimerCount() {
      return timers.size;
    },
  };
}

function makeClock(
  timeScale: number,
  source: Pick<Clock, "now" | "monotonic" | "setTimer">,
): Clock {
  return {
    timeScale,
    ...source,
    scaled: (ms) => ms / timeScale,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted === true) {
          reject(reasonOf(signal));
          return;
        }
        const onAbort = (): void => {
          cancel();
          if (signal !== undefined) reject(reasonOf(signal));
        };
        const cancel = source.setTimer(ms, () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        });
        signal?.addEventListener("abort", onAbort, { once: true });
      }),
  };
}

function reasonOf(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error("aborted");
}

function setRealTimer(ms: number, fn: () => void): () => void {
  let timer: NodeJS.Timeout;
  const arm = (leftMs: number): void => {
    const stepMs = Math.min(leftMs, LONGEST_TIMEOUT_MS);
    timer = setTimeout(() => (leftMs > stepMs ? arm(leftMs - stepMs) : fn()), stepMs);
  };
  arm(Math.max(0, ms));
  return () => {
    clearTimeout(timer);
  };
}

/** Lets promise chains run that timers set off: several rounds, since a chain may hop. */
async function settle(): Promise<void> {
  for (let round = 0; round < 10; round += 1) {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
  }
}
