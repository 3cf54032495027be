import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./testing.ts";

const at = "2026-01-01T00:00:00.000Z";

function answers(shard: { isLive: boolean; isPaused: boolean }): Record<string, unknown> {
  const session = {
    numberId: "num_1",
    phone: "79001234567",
    isPrimary: true,
    status: "disconnected",
    reason: "no_owner",
    since: at,
    score: 60,
    reconnectAttempts: 0,
    lastSeenAt: null,
    nextAction: "wait",
    shardId: 7,
  };
  return {
    "GET /api/whatsapp/sessions/acme/status": {
      companyId: "acme",
      company: { name: "Acme" },
      serverTime: at,
      codesLeft: 5,
      blockedUntil: null,
      attempt: null,
    },
    "GET /api/whatsapp/sessions": { sessions: [session], next: null },
    "GET /api/whatsapp/shards/7": { shard },
  };
}

test("status tells a paused shard from one that lost its owner", async () => {
  const shardLine = async (isLive: boolean, isPaused: boolean): Promise<string> => {
    const { lines } = await run("status acme", answers({ isLive, isPaused }));
    return lines.find((line) => line.startsWith("shard")) ?? "";
  };
  assert.match(await shardLine(true, false), / 7$/);
  assert.match(await shardLine(false, false), / 7, which nobody owns at the moment$/);
  assert.match(await shardLine(false, true), / 7, paused by an operator until: .* unpause 7$/);
});
