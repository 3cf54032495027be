const FIRST_MS = 1_000;
const LONGEST_MS = 30_000;

/**
 * How long to wait before try `tries + 1`: 1, 2, 4 … 30 s, each up to a fifth shorter or longer so that the
 * pages of a restarted server do not all come at once.
 * @param tries failed so far, from 1
 */
export function backoffMs(tries: number, random: () => number = Math.random): number {
  const base = Math.min(LONGEST_MS, FIRST_MS * 2 ** (tries - 1));
  return Math.round(base * (0.8 + 0.4 * random()));
}
