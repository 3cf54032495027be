import assert from "node:assert/strict";
import { test } from "node:test";
import { isBinding, metricsAnswer, openingOf, ratioOf, workerAnswer } from "./operations.ts";

const now = new Date("2026-01-01T00:00:00.000Z");
const figures = {
  totalCompanies: 3,
  totalNumbers: 4,
  connectedSessions: 2,
  connecting: 1,
  disconnected: 1,
  error: 0,
  blocked: 0,
  wantedSessions: 3,
  ownerlessNumbers: 1,
  ownerlessShards: 1,
  pausedShards: 1,
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

test("metrics: each number once by its status, and what has no owner", () => {
  const answer = metricsAnswer(figures, [], now);
  const { connected, connecting, disconnected, error, blocked } = answer.numbersByStatus;
  assert.deepEqual([connected, connecting, disconnected, error, blocked], [2, 1, 1, 0, 0]);
  const { ownerlessNumbers, ownerlessShards, pausedShards } = answer;
  assert.deepEqual([ownerlessNumbers, ownerlessShards, pausedShards], [1, 1, 1]);
  assert.equal(answer.opening.percent, 0, "three should be open, and there is no worker");
});

test("a worker that is gone serves nothing; one that lives, what it said", () => {
  const row = {
    workerId: "w",
    host: "h",
    version: "1",
    generation: 1,
    capacity: 1,
    draining: false,
    drainAsked: false,
    startedAt: now,
    seenAt: now,
    shards: 1,
    weight: 8,
    numbers: 7,
    connected: 4,
    opening: 2,
    waiting: 1,
  };
  const shown = (isLive: boolean): number[] => {
    const { numbers, connected, opening, waiting, shards } = workerAnswer({ ...row, isLive });
    return [numbers, connected, opening, waiting, shards];
  };
  assert.deepEqual(shown(true), [7, 4, 2, 1, 1]);
  assert.deepEqual(shown(false), [0, 0, 0, 0, 1]);
});

test("opening: sums; 100 percent only when all that should be is open", () => {
  const none = { connected: 0, opening: 0, waiting: 0 };
  assert.deepEqual(openingOf([], 0), { ...none, wanted: 0, percent: 100 });
  assert.deepEqual(openingOf([], 5), { ...none, wanted: 5, percent: 0 });
  const workers = [
    { connected: 199, opening: 1, waiting: 0 },
    { connected: 800, opening: 0, waiting: 0 },
  ];
  const sums = { connected: 999, opening: 1, waiting: 0 };
  assert.deepEqual(openingOf(workers, 1_000), { ...sums, wanted: 1_000, percent: 99 });
  assert.equal(openingOf(workers, 1_998).percent, 50, "those of lost workers count");
  const open = [{ connected: 3, opening: 0, waiting: 0 }];
  assert.equal(openingOf(open, 3).percent, 100);
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
