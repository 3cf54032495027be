import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs } from "./backoff.ts";
import { createServerClock, secondsUntil } from "./clock.ts";
import { addressAfterExchange, readLink } from "./link.ts";

test("the server's time does not depend on the device's clock", () => {
  let device = 5_000_000;
  const clock = createServerClock(() => device);
  clock.learn("2026-11-21T12:00:00.000Z");
  device += 30_000;
  assert.equal(new Date(clock.now()).toISOString(), "2026-11-21T12:00:30.000Z");
});

test("a late answer does not turn the clock back, a changed device clock does not mislead", () => {
  let device = 0;
  const clock = createServerClock(() => device);
  clock.learn("2026-11-21T12:00:00.000Z");
  clock.learn("2026-11-21T11:59:59.200Z");
  assert.equal(new Date(clock.now()).toISOString(), "2026-11-21T12:00:00.000Z");
  device -= 3_600_000;
  clock.learn("2026-11-21T12:00:10.000Z");
  assert.equal(new Date(clock.now()).toISOString(), "2026-11-21T12:00:10.000Z");
  clock.learn(undefined);
  clock.learn("nonsense");
  assert.equal(new Date(clock.now()).toISOString(), "2026-11-21T12:00:10.000Z");
});

test("the last second is 1", () => {
  assert.deepEqual([secondsUntil(60_000, 0), secondsUntil(1, 0), secondsUntil(0, 5)], [60, 1, 0]);
});

test("tries are 1, 2, 4 … 30 s apart, with some chance", () => {
  const middle = [1, 2, 3, 4, 5, 6, 9].map((tries) => backoffMs(tries, () => 0.5));
  assert.deepEqual(middle, [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
  assert.deepEqual([backoffMs(1, () => 0), backoffMs(1, () => 1)], [800, 1_200]);
});

test("a link's token is its fragment, and leaves the address", () => {
  const url = new URL("https://m.example/whatsapp-pairing.html?company=1&lang=ru#mlk_abc-DEF_123");
  assert.deepEqual(readLink(url), { token: "mlk_abc-DEF_123", companyId: "1" });
  assert.equal(readLink(new URL("https://m.example/#token=abc")).token, "abc");
  assert.deepEqual(readLink(new URL("https://m.example/#top")), {
    token: undefined,
    companyId: undefined,
  });
  assert.equal(
    addressAfterExchange(url, "962302"),
    "/whatsapp-pairing.html?company=962302&lang=ru",
  );
});
