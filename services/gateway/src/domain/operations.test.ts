import assert from "node:assert/strict";
import { test } from "node:test";
import { isBinding, metricsAnswer, openingOf, ratioOf } from "./operations.ts";

const now = new Date("2026-01-01T00:00:00.000Z");
const figures = {
  totalCompanies: 3,
  totalNumbers: 4,
  connectedSessions: 2,
  pendingPairingCodes: 1,
  blockedCompanies: 0,
  averageReconnectMs: 44_600,
  qrLinks: 3,
  codeLinks: 7,
};

test("the ratio is in percent and adds up to 100, 0:0 without links", () => {
  const cases: [number, number, string][] = [
    [0, 0, "0:0"],
    [3, 7, "30:70"],
    [1, 2, "33:67"],
    [2, 1, "67:33"],
    [1, 199, "1:99"],
    [5, 0, "100:0"],
    [0, 5, "0:100"],
  ];
  for (const [qr, code, text] of cases) assert.equal(ratioOf(qr, code), text);
});

test("metrics: seconds rounded, 0s when nothing reconnected, the misspelt name as well", () => {
  const answer = metricsAnswer(figures, [], now);
  assert.equal(answer.averageReconnectTime, "45s");
  assert.equal(answer.qrToParingRatio, "30:70");
  assert.equal(answer.qrToPairingRatio, "30:70");
  assert.equal(answer.asOf, "2026-01-01T00:00:00.000Z");
  assert.equal(
    metricsAnswer({ ...figures, averageReconnectMs: null }, [], now).averageReconnectTime,
    "0s",
  );
});

test("opening: sums; 100 percent only when all is open or there is nothing to open", () => {
  assert.deepEqual(openingOf([]), { connected: 0, opening: 0, waiting: 0, percent: 100 });
  const workers = [
    { connected: 199, opening: 1, waiting: 0 },
    { connected: 800, opening: 0, waiting: 0 },
  ];
  assert.deepEqual(openingOf(workers), { connected: 999, opening: 1, waiting: 0, percent: 99 });
});

test("a pin binds while a live worker of its host takes shards", () => {
  const worker = { host: "a", isLive: true, draining: false, drainAsked: false };
  assert.ok(isBinding("a", [worker]));
  for (const change of [
    { host: "b" },
    { isLive: false },
    { draining: true },
    { drainAsked: true },
  ]) {
    assert.ok(!isBinding("a", [{ ...worker, ...change }]), JSON.stringify(change));
  }
});
