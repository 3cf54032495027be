import assert from "node:assert/strict";
import { test } from "node:test";
import { createClock, createFakeClock } from "./time-scale.ts";

test("scaled waits are shorter by the time scale, and only those", () => {
  const clock = createClock({ timeScale: 60 });
  assert.equal(clock.scaled(60_000), 1_000);
  assert.equal(createClock().scaled(5), 5);
  assert.throws(() => createClock({ timeScale: 0 }), RangeError);
  assert.throws(() => createClock({ timeScale: Number.NaN }), RangeError);
});

test("the real clock fires, cancels and sleeps", async () => {
  const clock = createClock();
  const fired: string[] = [];
  const cancel = clock.setTimer(1, () => fired.push("cancelled"));
  clock.setTimer(1, () => fired.push("kept"));
  cancel();
  const before = clock.monotonic();
  await clock.sleep(5);
  assert.ok(clock.monotonic() - before >= 4);
  assert.deepEqual(fired, ["kept"]);
});

test("a sleep ends with the reason of the signal and leaves no timer", async () => {
  const clock = createFakeClock();
  const abort = new AbortController();
  const sleeping = clock.sleep(1_000, abort.signal);
  abort.abort(new Error("stopping"));
  await assert.rejects(sleeping, /stopping/);
  await assert.rejects(clock.sleep(1, abort.signal), /stopping/);
  assert.equal(clock.pendingTimerCount, 0);
});

test("the fake clock fires timers at their moments, in order, with what they set off", async () => {
  const clock = createFakeClock({ now: new Date("2026-03-01T00:00:00Z") });
  const seen: [string, number][] = [];
  const note = (name: string) => () => seen.push([name, clock.monotonic()]);
  clock.setTimer(30, note("c"));
  clock.setTimer(10, () => {
    note("a")();
    clock.setTimer(10, note("b"));
  });
  clock.setTimer(1_000, note("never"));
  const chain = (async () => {
    await clock.sleep(15);
    note("slept")();
    await clock.sleep(20);
    note("slept again")();
  })();
  await clock.advance(40);
  await chain;
  assert.deepEqual(seen, [
    ["a", 10],
    ["slept", 15],
    ["b", 20],
    ["c", 30],
    ["slept again", 35],
  ]);
  assert.equal(clock.now().toISOString(), "2026-03-01T00:00:00.040Z");
  assert.equal(clock.pendingTimerCount, 1);
});

test("the wall clock can be corrected without timers noticing", async () => {
  const clock = createFakeClock();
  let isFired = false;
  clock.setTimer(10, () => {
    isFired = true;
  });
  clock.setNow(new Date("2030-01-01T00:00:00Z"));
  assert.ok(!isFired);
  await clock.advance(10);
  assert.ok(isFired);
  assert.equal(clock.now().toISOString(), "2030-01-01T00:00:00.010Z");
});
