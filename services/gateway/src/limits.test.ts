import assert from "node:assert/strict";
import { test } from "node:test";
import { ManylineError } from "@manyline/contracts";
import { createFakeClock } from "@manyline/runtime";
import { LocalCounter, RequestLimiter, SharedCounter, WINDOW_MS } from "./limits.ts";
import type { RedisCommands } from "./limits.ts";

const LIMITS = { perTokenPerMinute: 3, perAddressPerMinute: 5, failedLoginsPerMinute: 2 };

function isRefusal(error: unknown): boolean {
  return (
    error instanceof ManylineError &&
    error.code === "TOO_MANY_REQUESTS" &&
    Number(error.facts.retryAfterSeconds) >= 1
  );
}

test("a token is limited by itself, an address by all that comes from it", async () => {
  const clock = createFakeClock();
  const limiter = new RequestLimiter(new LocalCounter(clock), LIMITS, clock);
  for (let i = 0; i < 3; i += 1) await limiter.request("10.0.0.1", "tok_a");
  await assert.rejects(limiter.request("10.0.0.2", "tok_a"), isRefusal);
  await limiter.request("10.0.0.1", "tok_b");
  await limiter.request("10.0.0.1");
  await assert.rejects(limiter.request("10.0.0.1", "tok_b"), isRefusal);
  await limiter.request("10.0.0.3", "tok_b");
  await clock.advance(WINDOW_MS);
  await limiter.request("10.0.0.1", "tok_a");
});

test("guesses from an address are stopped before they are looked up; a token known to be good is not", async () => {
  const clock = createFakeClock();
  const limiter = new RequestLimiter(new LocalCounter(clock), LIMITS, clock);
  limiter.loginWorked("good");
  for (const guess of ["x", "y"]) {
    await limiter.beforeLogin("10.0.0.1", guess);
    await limiter.loginFailed("10.0.0.1", guess);
  }
  await assert.rejects(limiter.beforeLogin("10.0.0.1", "z"), isRefusal);
  await limiter.beforeLogin("10.0.0.1", "good");
  await limiter.beforeLogin("10.0.0.2", "z");
  await limiter.loginFailed("10.0.0.1", "good");
  await assert.rejects(limiter.beforeLogin("10.0.0.1", "good"), isRefusal, "revoked meanwhile");
});

test("without Redis the local count decides", async () => {
  const clock = createFakeClock();
  const broken = (): Promise<never> => Promise.reject(new Error("gone"));
  const redis: RedisCommands = { status: "ready", get: broken, incr: broken, pexpire: broken };
  const counter = new SharedCounter(redis, clock);
  assert.equal(await counter.add("a"), 1);
  assert.equal(await counter.add("a"), 2);
  assert.equal(await counter.peek("a"), 2);
});
