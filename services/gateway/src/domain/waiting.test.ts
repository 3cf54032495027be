import assert from "node:assert/strict";
import { test } from "node:test";
import { waitUntil } from "./waiting.ts";

const now = new Date("2026-03-01T12:00:00.000Z");
const after = (ms: number): Date => new Date(now.getTime() + ms);

test("minutes are rounded up", () => {
  assert.deepEqual(waitUntil(after(29 * 60_000 + 1), now, 1), {
    retryAfterSeconds: 29 * 60 + 1,
    minutes: 30,
    detail: "Wait 30 minutes",
  });
  assert.equal(waitUntil(after(1), now, 1).detail, "Wait 1 minute");
});

test("a shortened cooldown is told in unscaled minutes and real seconds", () => {
  const wait = waitUntil(after(18_000), now, 100);
  assert.equal(wait.minutes, 30);
  assert.equal(wait.retryAfterSeconds, 18);
});

test("an end in the past is still a positive wait", () => {
  assert.deepEqual(waitUntil(after(-5_000), now, 1), {
    retryAfterSeconds: 1,
    minutes: 1,
    detail: "Wait 1 minute",
  });
});
