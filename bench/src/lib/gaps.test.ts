import assert from "node:assert/strict";
import { test } from "node:test";
import { movesFrom, spread } from "./gaps.ts";

const login = (phone: string, label: string, openedAt: number, closedAt: number | null) => ({
  phone,
  label,
  openedAt,
  closedAt,
});

test("a gap runs from the end of the old connection to the first new login", () => {
  const moves = movesFrom(
    [
      login("1", "old", 10, 120),
      login("2", "old", 10, 130),
      login("3", "old", 10, 140),
      login("4", "other", 10, null), // never was of the leaving process
      login("5", "old", 10, 50), // was gone before
      login("1", "new", 150, null),
      login("2", "new", 125, 300), // before the old one had ended
      login("2", "new", 310, null),
    ],
    "old",
    100,
  );
  assert.deepEqual(
    [...moves.gaps],
    [
      ["1", 30],
      ["2", -5],
    ],
  );
  assert.deepEqual(moves.missing, ["3"]);
  assert.equal(moves.lastLoginAt, 150);
  assert.equal(moves.again, 1);
  assert.deepEqual(spread(moves.gaps.values()), { p50: 30, p99: 30, max: 30 });
});
