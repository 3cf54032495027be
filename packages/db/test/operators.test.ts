import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newAttemptId } from "@manyline/contracts";
import {
  type AttemptPatch,
  fencedTransaction,
  hashPhone,
  insertAttempt,
  listShards,
  listWorkers,
  readMetrics,
  setHealth,
  setNumberStatus,
  spendPairingCode,
  updateAttempt,
  writeAuth,
} from "../src/index.ts";
import { openWorld, ownedNumber, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

type Owned = Awaited<ReturnType<typeof ownedNumber>>;

async function attempt(
  { fence }: Owned,
  method: "qr" | "code",
  patch: AttemptPatch,
): Promise<void> {
  const attemptId = newAttemptId();
  await fencedTransaction(world.worker, fence, async (tx) => {
    await insertAttempt(tx, fence, { attemptId, method, state: "starting", phone: null, max: 3 });
    await updateAttempt(tx, world.test.keyring, fence, attemptId, patch);
  });
}

async function reconnected({ fence }: Owned, reconnectMs: number): Promise<void> {
  await fencedTransaction(world.worker, fence, async (tx) => {
    await setNumberStatus(tx, fence, { status: "connected", reason: "open", since: new Date() });
    const health = { status: "connected", reconnectAttempts: 0, lastSeenAt: new Date() } as const;
    await setHealth(tx, fence, { ...health, reconnectMs });
  });
}

test("an empty system has figures too", async () => {
  assert.deepEqual(await readMetrics(world.platform), {
    totalCompanies: 0,
    totalNumbers: 0,
    connectedSessions: 0,
    connecting: 0,
    disconnected: 0,
    error: 0,
    blocked: 0,
    wantedSessions: 0,
    ownerlessNumbers: 0,
    ownerlessShards: 0,
    pausedShards: 0,
    pendingPairingCodes: 0,
    blockedCompanies: 0,
    averageReconnectMs: null,
    qrLinks: 0,
    codeLinks: 0,
  });
});

test("the figures of the whole system, and of each shard and worker", async () => {
  const [a, b, c, d] = [
    await ownedNumber(world),
    await ownedNumber(world),
    await ownedNumber(world),
    await ownedNumber(world),
  ];
  assert.ok(a && b && c && d);
  await reconnected(a, 1_000);
  await reconnected(b, 2_000);
  await reconnected(c, 90_000);
  await world.superuser.query(
    "update whatsapp_session_health set last_reconnect_at = now() - interval '25 h' where number_no = $1",
    [c.fence.numberNo],
  );
  const succeeded = { state: "ended", outcome: "succeeded" } as const;
  await attempt(a, "qr", succeeded);
  await attempt(b, "code", succeeded);
  await attempt(c, "code", succeeded);
  await attempt(d, "code", { state: "ended", outcome: "unused" });
  const live = { state: "code", secret: { kind: "code", value: "ABCDEFGH" } } as const;
  await attempt(d, "code", { ...live, expiresAt: new Date(Date.now() + 60_000) });
  await attempt(a, "code", { ...live, expiresAt: new Date(Date.now() - 1_000) });
  const phoneHash = hashPhone("79001234567", world.test.keyring.pepper);
  const limits = { perHour: 1, windowMs: 3_600_000, cooldownMs: 1_800_000 };
  const { companyNo } = d.fence;
  await spendPairingCode(world.worker, { companyNo, phoneHash, limits });
  await spendPairingCode(world.worker, { companyNo, phoneHash, limits });

  await writeAuth(world.worker, world.test.keyring, a.fence, { creds: Buffer.from("c") });

  assert.deepEqual(await readMetrics(world.platform), {
    totalCompanies: 4,
    totalNumbers: 4,
    connectedSessions: 3,
    connecting: 0,
    disconnected: 0,
    error: 0,
    blocked: 1,
    wantedSessions: 1,
    ownerlessNumbers: 0,
    ownerlessShards: 0,
    pausedShards: 0,
    pendingPairingCodes: 1,
    blockedCompanies: 1,
    averageReconnectMs: 1_500,
    qrLinks: 1,
    codeLinks: 2,
  });
  const [shard] = await listShards(world.platform);
  assert.deepEqual([shard?.numbers, shard?.connected, shard?.isLive], [4, 3, true]);
  assert.deepEqual(
    (await listWorkers(world.platform)).map((one) => [one.workerId, one.shards, one.weight]),
    [["w1", 1, 1]],
  );

  // Without a live lease nothing is connected.
  await world.superuser.query("update shard_leases set expires_at = now() - interval '1 s'");
  await world.superuser.query("update shard_leases set paused = true");
  const orphaned = await readMetrics(world.platform);
  assert.equal(orphaned.connectedSessions, 0);
  assert.deepEqual([orphaned.disconnected, orphaned.blocked, orphaned.ownerlessNumbers], [3, 1, 4]);
  assert.deepEqual([orphaned.ownerlessShards, orphaned.pausedShards], [1, 1]);
  await world.superuser.query("update shard_leases set paused = false");
  assert.equal((await listShards(world.platform))[0]?.connected, 0);
  // Nor with a new owner that has not said so.
  await takeAll(world, "w2", { mayTakeExpired: true });
  const taken = await readMetrics(world.platform);
  assert.deepEqual([taken.connectedSessions, taken.connecting, taken.blocked], [0, 3, 1]);
  assert.equal((await listShards(world.platform))[0]?.connected, 0);
  await reconnected({ ...a, fence: { ...a.fence, epoch: a.fence.epoch + 1 } }, 1_000);
  const said = await readMetrics(world.platform);
  assert.deepEqual([said.connectedSessions, said.connecting], [1, 2]);
  assert.equal((await listShards(world.platform))[0]?.connected, 1);
});
