import assert from "node:assert/strict";
import { test } from "node:test";
import type { Worker } from "@manyline/contracts";
import { Refusal } from "../refusal.ts";
import { run } from "./testing.ts";

const now = new Date().toISOString();

function worker(id: string, host: string, changes: Partial<Worker> = {}): Worker {
  return {
    id,
    host,
    version: "1.0.0",
    generation: 1,
    capacity: 10,
    isLive: true,
    isDraining: false,
    drainAsked: false,
    startedAt: now,
    seenAt: now,
    shards: 3,
    weight: 70,
    numbers: 67,
    connected: 60,
    opening: 5,
    waiting: 2,
    ...changes,
  };
}

const all = [
  worker("pod-a-1", "pod-a", { isLive: false, shards: 0 }),
  worker("pod-a-2", "pod-a"),
  worker("pod-b-1", "pod-b", { isDraining: true, drainAsked: true }),
  worker("pod-c-1", "pod-c", { isDraining: true }),
  worker("host-d-1", "host-d"),
];
const LIST = { "GET /api/whatsapp/workers": { success: true, workers: all } };

test("workers: state and figures of each", async () => {
  const { lines } = await run("workers", LIST);
  assert.match(lines[0] ?? "", /^WORKER +HOST +STATE +GEN +CAP +SHARDS +WEIGHT +NUMBERS/);
  const states = lines.slice(1).map((line) => line.split(/ +/).slice(0, 3).join(" "));
  assert.deepEqual(states, [
    "pod-a-1 pod-a gone",
    "pod-a-2 pod-a live",
    "pod-b-1 pod-b drained",
    "pod-c-1 pod-c leaving",
    "host-d-1 host-d live",
  ]);
  assert.match(lines[2] ?? "", /1 +10 +3 +70 +67 +60 +5 +2 /);
});

test("drain and resume: by id, by host, by the beginning of an id", async () => {
  const answers = {
    ...LIST,
    "POST /api/whatsapp/workers/pod-a-2/drain": { success: true, worker: all[1] },
    "POST /api/whatsapp/workers/pod-b-1/resume": { success: true, worker: all[2] },
  };
  for (const name of ["pod-a-2", "pod-a"]) {
    const { lines, asked } = await run(`drain ${name}`, answers);
    assert.deepEqual(asked[1], {
      method: "POST",
      path: "/api/whatsapp/workers/pod-a-2/drain",
      body: {},
    });
    assert.match(lines[0] ?? "", /pod-a-2 hands over its shards \(3\)\..* resume pod-a-2$/);
  }
  const resumed = await run("resume pod-b", answers);
  assert.match(resumed.lines[0] ?? "", /^pod-b-1 takes its share/);
  for (const [words, message] of [
    ["drain pod", /"pod" can be several workers: pod-a-1, pod-a-2, pod-b-1, pod-c-1\./],
    ["drain x", /There is no worker "x": pod-a-1/],
  ] as const) {
    await assert.rejects(run(words, answers), (error: unknown) => {
      assert.ok(error instanceof Refusal);
      assert.match(error.message, message);
      return true;
    });
  }
});

test("the last worker that takes shards is drained with --yes only", async () => {
  const answers = {
    "GET /api/whatsapp/workers": { success: true, workers: all.slice(0, 4) },
    "POST /api/whatsapp/workers/pod-a-2/drain": { success: true, worker: all[1] },
  };
  await assert.rejects(run("drain pod-a-2", answers), (error: unknown) => {
    assert.ok(error instanceof Refusal);
    assert.match(error.message, /its 67 numbers would be disconnected.* drain pod-a-2 --yes$/);
    return true;
  });
  const { lines } = await run("drain pod-a-2 --yes", answers);
  assert.match(lines[0] ?? "", /its numbers are disconnected until a worker takes them/);
});

test("metrics: one figure a line", async () => {
  const { lines } = await run("metrics", {
    "GET /api/whatsapp/metrics": {
      success: true,
      totalCompanies: 10_000,
      connectedSessions: 9_000,
      pendingPairingCodes: 2,
      blockedCompanies: 1,
      averageReconnectTime: "45s",
      qrToParingRatio: "30:70",
      qrToPairingRatio: "30:70",
      asOf: now,
      numbers: 10_050,
      numbersByStatus: {
        connected: 9_000,
        connecting: 1_000,
        disconnected: 40,
        error: 9,
        blocked: 1,
      },
      ownerlessNumbers: 1,
      ownerlessShards: 2,
      pausedShards: 1,
      opening: { connected: 9_000, opening: 25, waiting: 975, wanted: 10_000, percent: 90 },
    },
  });
  const shown = new Set(lines.map((line) => line.trim().replace(/ {2,}/g, " | ")));
  for (const line of [
    "connected | 9000",
    "blocked | 1",
    "opened | 90 % of 10000 (25 opening, 975 waiting)",
    "without an owner | 1 number on 2 shards; 1 shard paused",
    "average reconnect, 24 h | 45s",
    "linked by QR : code, % | 30:70",
  ]) {
    assert.ok(shown.has(line), `${line}\n${lines.join("\n")}`);
  }
});
