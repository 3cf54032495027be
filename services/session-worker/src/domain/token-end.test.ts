import assert from "node:assert/strict";
import { test } from "node:test";
import { tokenEndDays, untilNextLookMs } from "./token-end.ts";

const HOUR_MS = 3_600_000;
const now = new Date("2026-11-21T12:00:00Z");
const inHours = (hours: number): Date => new Date(now.getTime() + hours * HOUR_MS);

test("the threshold that was passed last is told", () => {
  const told = [31 * 24, 30 * 24, 15 * 24, 14 * 24, 2 * 24, 24, 1, 0, -1].map((hours) =>
    tokenEndDays(inHours(hours), now),
  );
  assert.deepEqual(told, [undefined, 30, 30, 14, 3, 1, 1, undefined, undefined]);
});

test("the next look is when the next one is passed, and within a day", () => {
  const hours = [100 * 24, 30 * 24 + 5, 7 * 24 + 1, 30, 24, 3].map(
    (left) => untilNextLookMs(inHours(left), now) / HOUR_MS,
  );
  assert.deepEqual(hours, [24, 5, 1, 6, 24, 24]);
});
