import { setTimeout as delay } from "node:timers/promises";

export type UntilOptions = {
  /** Give up after this many milliseconds (default 10,000). */
  deadlineMs?: number;
  /** Pause between two tries (default 25). */
  intervalMs?: number;
  /** What was waited for; it becomes part of the error. */
  label?: string;
};

/** The condition of `until` did not come true before its deadline; `cause` is the last error it threw. */
export class DeadlineError extends Error {
  override name = "DeadlineError";
}

/**
 * Waits until `condition` gives something other than false, null or undefined, and returns it.
 * An error thrown by the condition counts as "not yet".
 */
export async function until<T>(
  condition: () => T | Promise<T>,
  options: UntilOptions = {},
): Promise<Exclude<T, false | null | undefined>> {
  const { deadlineMs = 10_000, intervalMs = 25, label = "a condition" } = options;
  const endsAt = performance.now() + deadlineMs;
  let cause: unknown;
  for (;;) {
    try {
      const value = await condition();
      if (isThere(value)) return value;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() >= endsAt) {
      const because = cause instanceof Error ? `: ${cause.message}` : "";
      throw new DeadlineError(`${label} did not happen within ${deadlineMs} ms${because}`, {
        cause,
      });
    }
    await delay(intervalMs);
  }
}

function isThere<T>(value: T): value is Exclude<T, false | null | undefined> {
  return value !== false && value !== null && value !== undefined;
}
