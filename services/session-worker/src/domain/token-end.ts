/** When people are told that an access token ends. */

const DAY_MS = 86_400_000;

/** So many days before the end; each is told once. */
export const TOKEN_END_DAYS = [30, 14, 7, 3, 1] as const;

/** The threshold that was passed last; undefined: there is time, or it is over (which is another story). */
export function tokenEndDays(end: Date, now: Date): number | undefined {
  const leftMs = end.getTime() - now.getTime();
  if (leftMs <= 0) return undefined;
  return TOKEN_END_DAYS.findLast((days) => leftMs <= days * DAY_MS);
}

/** How long until the next threshold is passed, at most a day: a token may be given another end at Meta. */
export function untilNextLookMs(end: Date, now: Date): number {
  const leftMs = end.getTime() - now.getTime();
  const next = TOKEN_END_DAYS.find((days) => leftMs > days * DAY_MS);
  return next === undefined ? DAY_MS : Math.min(DAY_MS, leftMs - next * DAY_MS);
}
