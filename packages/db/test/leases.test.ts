import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import {
  claimShards,
  isShardOpen,
  listShardMoves,
  listShards,
  listWorkers,
  markShardOpen,
  readShares,
  registerWorker,
  releaseShards,
  removeWorker,
  renewLeases,
  SHARD_SIZE,
} from "../src/index.ts";
import { addShards, claim, freeAll, IDLE, register, renew } from "./fleet-support.ts";
import { openWorld, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
  await addShards(world, 8);
});
beforeEach(() => freeAll(world));
after(() => world[Symbol.asyncDispose]());

const ids = (shards: { shardId: number }[]) => shards.map(({ shardId }) => shardId);
const shares = (workerId: string) => readShares(world.worker, workerId);
const weigh = (shardId: number, weight: number) =>
  world.superuser.query("update shard_leases set weight = $2 where shard_id = $1", [
    shardId,
    weight,
  ]);
const runOut = (workerId: string) =>
  world.superuser.query(
    "update shard_leases set expires_at = now() - interval '1 ms' where owner = $1",
    [workerId],
  );
const silence = (workerId: string) =>
  world.superuser.query(
    "update workers set seen_at = now() - interval '11 s' where worker_id = $1",
    [workerId],
  );

describe("claiming", () => {
  test("two workers that claim at once never get the same shard", async () => {
    await register(world, "a");
    await register(world, "b");
    for (let round = 0; round < 10; round += 1) {
      const [a, b] = await Promise.all([claim(world, "a"), claim(world, "b")]);
      const all = ids([...a, ...b]);
      assert.equal(new Set(all).size, all.length);
      const owners = await listShards(world.platform);
      for (const { shardId } of a) {
        assert.equal(owners.find((one) => one.shardId === shardId)?.owner, "a");
      }
      await releaseShards(world.worker, "a");
      await releaseShards(world.worker, "b");
    }
  });

  test("it takes until the sum of the weights reaches what it may, one too many at most", async () => {
    await register(world, "a");
    const [first, second, third] = await listShards(world.platform);
    assert.ok(first && second && third);
    await weigh(first.shardId, 3);
    await weigh(second.shardId, 5);
    assert.deepEqual(await claim(world, "a", { maxWeight: 0 }), []);
    assert.deepEqual(ids(await claim(world, "a", { maxWeight: 4 })), [
      first.shardId,
      second.shardId,
    ]);
    // 3 of 3.5 are taken when the second is looked at: there is still room.
    await releaseShards(world.worker, "a");
    assert.deepEqual(ids(await claim(world, "a", { maxWeight: 3 })), [first.shardId]);
    assert.equal((await claim(world, "a", { maxWeight: 1_000, limit: 2 })).length, 2);
  });

  test("released shards come before expired ones, and expired ones only for those who may", async () => {
    await register(world, "a");
    await register(world, "b");
    const taken = await claim(world, "a", { limit: 2 });
    await runOut("a");
    assert.equal((await claim(world, "b", { limit: 6 })).length, 6);
    assert.deepEqual(await claim(world, "b"), []);
    assert.equal((await shares("b")).claimable, 2);
    // Late, but nobody took them: renewed as if nothing had been.
    assert.equal((await renew(world, "a")).shards.length, 2);
    assert.equal((await shares("b")).claimable, 0);
    assert.deepEqual(await claim(world, "b", { mayTakeExpired: true }), []);
    await runOut("a");
    assert.deepEqual(await claim(world, "a", { mayTakeExpired: true }), [], "not from itself");
    const robbed = await claim(world, "b", { mayTakeExpired: true, limit: 1 });
    assert.deepEqual(robbed, [{ shardId: taken[0]?.shardId, epoch: (taken[0]?.epoch ?? 0) + 1 }]);
    assert.deepEqual(ids((await renew(world, "a")).shards), [taken[1]?.shardId]);
  });

  test("just released shards are offered to the newest generation for 2 s", async () => {
    await takeAll(world, "old-a");
    await register(world, "old-b");
    await register(world, "new", { generation: 2 });
    await releaseShards(world.worker, "old-a");
    assert.equal((await shares("old-b")).claimable, 0);
    assert.deepEqual(await claim(world, "old-b", { limit: 2 }), []);
    assert.equal((await claim(world, "new", { limit: 2 })).length, 2);
    await world.superuser.query("update shard_leases set released_at = now() - interval '3 s'");
    assert.equal((await claim(world, "old-b", { limit: 2 })).length, 2);
    // While the newest generation takes nothing, nobody waits for it.
    await releaseShards(world.worker, "old-b");
    await renew(world, "new", { draining: true });
    assert.equal((await claim(world, "old-b")).length, 6);
  });

  test("a worker that drains, or was never registered, takes nothing", async () => {
    assert.deepEqual(await claim(world, "nobody"), []);
    await register(world, "a");
    await renew(world, "a", { draining: true });
    assert.deepEqual(await claim(world, "a"), []);
    await renew(world, "a");
    assert.equal((await claim(world, "a")).length, 8);
  });

  test("each claim is in the history, with whom it was taken from", async () => {
    await register(world, "a");
    await register(world, "b");
    const [shard] = await claim(world, "a", { limit: 1 });
    assert.ok(shard);
    const { shardId, epoch } = shard;
    await world.superuser.query("update shard_leases set moves = 0");
    await releaseShards(world.worker, "a");
    await claim(world, "b", { limit: 1 });
    await runOut("b");
    await claim(world, "a", { mayTakeExpired: true });
    const moves = await listShardMoves(world.platform, { shardId, limit: 10 });
    assert.deepEqual(
      moves.map((one) => [one.how, one.epoch, one.workerId, one.previousWorkerId]),
      [
        ["taken_over", epoch + 2, "a", "b"],
        ["claimed", epoch + 1, "b", "a"],
        ["claimed", epoch, "a", null],
      ],
    );
    const row = (await listShards(world.platform)).find((one) => one.shardId === shardId);
    assert.equal(row?.owner, "a");
    assert.equal(row?.moves, 2);
    assert.ok(row?.claimedAt && Date.now() - row.claimedAt.getTime() < 60_000);
    assert.equal((await listShardMoves(world.platform, { limit: 4 })).length, 4);
  });
});

describe("renewing", () => {
  test("the epoch grows with each owner, and what is not returned is lost", async () => {
    const first = await takeAll(world, "a");
    const renewed = await renew(world, "a");
    assert.deepEqual(
      renewed.shards.map(({ shardId, epoch }) => ({ shardId, epoch })),
      first.toSorted((x, y) => x.shardId - y.shardId),
    );
    const lost = first[0];
    assert.ok(lost);
    assert.deepEqual(await releaseShards(world.worker, "a", [lost]), [lost.shardId]);
    const taken = await takeAll(world, "b");
    assert.deepEqual(taken, [{ shardId: lost.shardId, epoch: lost.epoch + 1 }]);
    assert.equal((await renew(world, "a")).shards.length, 7);
    assert.deepEqual(await releaseShards(world.worker, "a", [lost]), []);
  });

  test("a release that was given up and runs later takes no newer lease away", async () => {
    await register(world, "a");
    const [first] = await claim(world, "a", { limit: 1 });
    assert.ok(first);
    await releaseShards(world.worker, "a");
    const [again] = await claim(world, "a", { limit: 1 });
    assert.ok(again?.shardId === first.shardId);
    assert.deepEqual(await releaseShards(world.worker, "a", [first]), []);
    assert.deepEqual(await releaseShards(world.worker, "a", [again]), [first.shardId]);
  });

  test("one statement is heartbeat, report, weights and what an operator asked for", async () => {
    await register(world, "a");
    const [one, two] = await claim(world, "a", { limit: 2 });
    assert.ok(one && two);
    await silence("a");
    const report = { numbers: 40, connected: 30, opening: 4, waiting: 6 };
    const renewal = await renew(world, "a", {
      report,
      weights: [
        [one.shardId, 31],
        [4711, 9],
      ],
    });
    assert.deepEqual(renewal, {
      isRegistered: true,
      isDrainAsked: false,
      shards: [
        { ...one, weight: 31, isBound: false, wish: null },
        { ...two, weight: 1, isBound: false, wish: null },
      ],
    });
    const [worker] = await listWorkers(world.platform);
    assert.ok(worker);
    const { numbers, connected, opening, waiting, isLive, shards: count, weight } = worker;
    assert.deepEqual({ numbers, connected, opening, waiting }, report);
    assert.deepEqual([isLive, count, weight], [true, 2, 32]);
    // What is not named keeps its weight.
    assert.deepEqual(
      (await renew(world, "a")).shards.map((shard) => shard.weight),
      [31, 1],
    );
  });

  test("without a row of its own the worker still renews, and is told", async () => {
    await register(world, "a");
    await claim(world, "a", { limit: 1 });
    await removeWorker(world.worker, "a");
    const renewal = await renew(world, "a");
    assert.deepEqual([renewal.isRegistered, renewal.shards.length], [false, 1]);
    assert.deepEqual(await renew(world, "b"), {
      isRegistered: false,
      isDrainAsked: false,
      shards: [],
    });
  });

  test("renewals, claims and releases of several workers at once never deadlock", async () => {
    for (const id of ["a", "b", "c"]) await register(world, id);
    const rounds = Array.from({ length: 15 });
    await Promise.all(
      ["a", "b", "c"].map(async (id) => {
        for (const _ of rounds) {
          await Promise.all([renew(world, id), claim(world, id, { maxWeight: 3 })]);
          await releaseShards(world.worker, id);
        }
      }),
    );
    const owners = await listShards(world.platform);
    assert.deepEqual(new Set(owners.map(({ owner }) => owner)), new Set([null]));
  });
});

describe("the fair share", () => {
  test("weights and capacities; paused shards and draining or silent workers do not count", async () => {
    await register(world, "a");
    await register(world, "b", { capacity: 3 });
    const [one, two] = await claim(world, "a", { limit: 2 });
    assert.ok(one && two);
    await weigh(one.shardId, 5);
    const { newestAgeMs, ...rest } = await shares("a");
    assert.deepEqual(rest, {
      totalWeight: 12,
      myWeight: 6,
      myShards: 2,
      claimable: 6,
      expired: 0,
      ableCapacity: 0,
      liveWorkers: 2,
      liveCapacity: 4,
      myCapacity: 1,
      isMixed: false,
      hasTaker: true,
    });
    assert.ok(newestAgeMs >= 0 && newestAgeMs < 60_000);
    // b's share is 9 and it has nothing; a's is 3 and it has 6.
    assert.equal((await shares("b")).hasTaker, false);
    await world.superuser.query("update shard_leases set paused = true where shard_id = $1", [
      one.shardId,
    ]);
    const paused = await shares("a");
    assert.deepEqual([paused.totalWeight, paused.myWeight, paused.myShards], [7, 1, 2]);
    await renew(world, "b", { draining: true });
    const alone = await shares("a");
    assert.deepEqual([alone.liveWorkers, alone.liveCapacity, alone.hasTaker], [1, 1, false]);
    await silence("a");
    const none = await shares("a");
    assert.deepEqual([none.liveWorkers, none.liveCapacity, none.newestAgeMs], [0, 0, 0]);
    await removeWorker(world.worker, "b");
    assert.deepEqual(
      (await listWorkers(world.platform)).map(({ workerId, isLive }) => [workerId, isLive]),
      [["a", false]],
    );
  });

  test("a roll-out is seen while workers of two generations live, draining ones too", async () => {
    await register(world, "a");
    assert.equal((await shares("a")).isMixed, false);
    await world.superuser.query("update workers set started_at = now() - interval '1 hour'");
    await register(world, "b", { generation: 2 });
    assert.equal((await shares("a")).isMixed, true);
    assert.ok((await shares("a")).newestAgeMs < 60_000);
    await world.superuser.query(
      "update workers set started_at = now() - interval '20 min' where worker_id = 'b'",
    );
    const { newestAgeMs } = await shares("a");
    assert.ok(Math.abs(newestAgeMs - 1_200_000) < 60_000, String(newestAgeMs));
    await renew(world, "a", { draining: true });
    assert.equal((await shares("b")).isMixed, true);
    await silence("a");
    assert.equal((await shares("b")).isMixed, false);
  });

  test("a worker that goes on under a new name while it was asked to drain stays asked", async () => {
    const input = { workerId: "a-2", host: "h", version: "1", generation: 1, capacity: 1 };
    await registerWorker(world.worker, { ...input, draining: true });
    assert.equal((await renew(world, "a-2", { draining: true })).isDrainAsked, true);
    const [worker] = await listWorkers(world.platform);
    assert.deepEqual([worker?.host, worker?.version, worker?.drainAsked], ["h", "1", true]);
  });
});

test("a hand-over is seen when the taker has opened the shard", async () => {
  const [shard] = await takeAll(world, "a");
  assert.ok(shard);
  await markShardOpen(world.worker, "a", shard);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), false);
  await releaseShards(world.worker, "a", [shard]);
  const [taken] = await takeAll(world, "b");
  assert.ok(taken);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), false);
  assert.equal(await markShardOpen(world.worker, "a", taken), false);
  assert.equal(await markShardOpen(world.worker, "b", taken), true);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), true);
});

test("no role lowers the epoch of a lease or a fence", async () => {
  const [shard] = await takeAll(world, "a");
  assert.ok(shard && shard.epoch > 0);
  for (const statement of [
    "update shard_leases set epoch = epoch - 1 where epoch > 0",
    "update number_fence set epoch = -1",
  ]) {
    if (statement.includes("number_fence")) {
      const { rowCount } = await world.superuser.query("select from number_fence");
      if (rowCount === 0) continue;
    }
    await assert.rejects(world.superuser.query(statement), /an epoch never falls/);
  }
});

test("ranges cannot overlap, and the history needs no list of options", async () => {
  const shards = await listShards(world.platform);
  assert.deepEqual(
    shards.map(({ lo, hi }) => [lo, hi]),
    shards.map((_, n) => [n * SHARD_SIZE + 1, (n + 1) * SHARD_SIZE + 1]),
  );
  await assert.rejects(
    world.superuser.query("insert into shards (shard_id, lo, hi) values (99, 64, 66)"),
    /exclusion constraint/,
  );
  // Defaults: unlimited weight, the usual lease time.
  await register(world, "a");
  assert.equal(
    (await claimShards(world.worker, "a", { limit: 9, mayTakeExpired: false })).length,
    8,
  );
  const { shards: renewed } = await renewLeases(world.worker, "a", {
    draining: false,
    report: IDLE,
    weights: new Map(),
  });
  assert.equal(renewed.length, 8);
});
