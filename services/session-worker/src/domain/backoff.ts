/** How long to wait before a connection is tried again. */

export type BackoffFigures = { baseMs: number; capMs: number };

/**
 * Full jitter over an exponential ceiling: attempt 1 waits up to `baseMs`, each further one up to twice
 * as long, at most `capMs`; never less than a fifth of the ceiling, so that a herd spreads and nobody spins.
 * `slow` starts four doublings later.
 */
export function backoffMs(
  attempt: number,
  figures: BackoffFigures,
  options: { slow?: boolean; random?: () => number } = {},
): number {
  const doublings = Math.min(30, Math.max(0, attempt - 1) + (options.slow ? 4 : 0));
  const ceiling = Math.min(figures.capMs, figures.baseMs * 2 ** doublings);
  return Math.round(ceiling * (0.2 + 0.8 * (options.random ?? Math.random)()));
}
