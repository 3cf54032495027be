/** How long each number was without a connection while it moved, from the simulator's record. */
import { percentile } from "./figures.ts";
import type { Login } from "./simulator-process.ts";

export type Moves = {
  /** Milliseconds per phone between the end of the old connection and the first new login; below 0: they overlapped. */
  gaps: Map<string, number>;
  /** Phones that have no new login, or whose old connection has not ended. */
  missing: string[];
  /** When the last of them was logged in anew. */
  lastLoginAt: number;
  /** New logins beyond the first of a phone. */
  again: number;
};

/**
 * Moves away from one process.
 * @param from label of the process that loses its numbers
 * @param at when it was told to, or was killed
 */
export function movesFrom(logins: readonly Login[], from: string, at: number): Moves {
  const left = new Map<string, Login>();
  const taken = new Map<string, Login[]>();
  for (const login of logins) {
    const isOld = login.label === from && login.openedAt <= at;
    if (isOld && (login.closedAt === null || login.closedAt >= at)) left.set(login.phone, login);
    else if (login.label !== from && login.openedAt >= at) {
      taken.set(login.phone, [...(taken.get(login.phone) ?? []), login]);
    }
  }
  const moves: Moves = { gaps: new Map(), missing: [], lastLoginAt: at, again: 0 };
  for (const [phone, { closedAt }] of left) {
    const [first, ...more] = taken.get(phone) ?? [];
    if (first === undefined || closedAt === null) {
      moves.missing.push(phone);
      continue;
    }
    moves.gaps.set(phone, first.openedAt - closedAt);
    moves.lastLoginAt = Math.max(moves.lastLoginAt, first.openedAt);
    moves.again += more.length;
  }
  return moves;
}

export function spread(gaps: Iterable<number>): { p50: number; p99: number; max: number } {
  const values = [...gaps];
  return {
    p50: percentile(values, 0.5),
    p99: percentile(values, 0.99),
    max: Math.max(...values),
  };
}
