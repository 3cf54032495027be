/** Texts about waiting. Minutes are those of real life, so they are multiplied back by TIME_SCALE. */
export type Wait = {
  /** For `Retry-After`: real seconds of this process, at least 1. */
  readonly retryAfterSeconds: number;
  /** For people: unscaled, rounded up, at least 1. */
  readonly minutes: number;
  readonly detail: string;
};

/** How long until `until`. */
export function waitUntil(until: Date, now: Date, timeScale: number): Wait {
  const leftMs = Math.max(0, until.getTime() - now.getTime());
  const minutes = Math.max(1, Math.ceil((leftMs * timeScale) / 60_000));
  return {
    retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1_000)),
    minutes,
    detail: `Wait ${minutes} ${minutes === 1 ? "minute" : "minutes"}`,
  };
}
