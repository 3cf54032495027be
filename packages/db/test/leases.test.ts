import assert from "node:assert/strict";
import { after, before, beforeEach, test } from "node:test";
import {
  adoptNumbers,
  changedNumbers,
  claimShards,
  countShards,
  heartbeat,
  inTransaction,
  isShardOpen,
  listOwnedNumbers,
  listShards,
  listWorkers,
  markShardOpen,
  ownedNumberNos,
  raiseFences,
  registerWorker,
  releaseShards,
  removeNumber,
  removeWorker,
  renewLeases,
  SHARD_SIZE,
  updateCompany,
  updateNumber,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
  // Four shards, with one company in each of the first and the last.
  await addCompany(world, "first");
  await world.superuser.query("update company_counter set last_no = $1", [SHARD_SIZE]);
  await addCompany(world, "second");
  await world.superuser.query("update company_counter set last_no = $1", [2 * SHARD_SIZE]);
  await addCompany(world, "third");
  await world.superuser.query("update company_counter set last_no = $1", [3 * SHARD_SIZE]);
  await addCompany(world, "fourth");
});
beforeEach(async () => {
  await world.superuser.query("delete from workers");
  await world.superuser.query(
    "update shard_leases set owner = null, expires_at = null, released_at = null",
  );
});
after(() => world[Symbol.asyncDispose]());

const register = (workerId: string, generation = 1) =>
  registerWorker(world.worker, { workerId, generation, capacity: 1 });

test("two workers that claim at once never get the same shard", async () => {
  await register("a");
  await register("b");
  const [a, b] = await Promise.all(
    ["a", "b"].map((id) => claimShards(world.worker, id, { limit: 4, mayTakeExpired: false })),
  );
  const all = [...(a ?? []), ...(b ?? [])].map(({ shardId }) => shardId);
  assert.equal(new Set(all).size, all.length);
  const counts = await countShards(world.worker, "a");
  assert.deepEqual(counts, {
    total: 4,
    mine: a?.length,
    unowned: 4 - all.length,
    liveWorkers: 2,
    liveCapacity: 2,
    myCapacity: 1,
  });
});

test("the epoch grows with each owner, and renewing returns only what is still mine", async () => {
  const first = await takeAll(world, "a");
  assert.equal(first.length, 4);
  const byId = (shards: { shardId: number; epoch: number }[]) =>
    shards.toSorted((x, y) => x.shardId - y.shardId);
  assert.deepEqual(byId(await renewLeases(world.worker, "a")), byId(first));
  const lost = first[0];
  assert.ok(lost);
  assert.deepEqual(await releaseShards(world.worker, "a", [lost.shardId]), [lost.shardId]);
  const taken = await takeAll(world, "b");
  assert.deepEqual(taken, [{ shardId: lost.shardId, epoch: lost.epoch + 1 }]);
  assert.equal((await renewLeases(world.worker, "a")).length, 3);
  assert.deepEqual(await releaseShards(world.worker, "a", [lost.shardId]), []);
});

test("expired leases go only to those who may take them; an outage in which nobody took over loses nothing", async () => {
  await takeAll(world, "a");
  const runOut = () =>
    world.superuser.query("update shard_leases set expires_at = now() - interval '1 ms'");
  await runOut();
  await register("b");
  const claim = (mayTakeExpired: boolean) =>
    claimShards(world.worker, "b", { limit: 1, mayTakeExpired });
  assert.deepEqual(await claim(false), []);
  assert.equal((await countShards(world.worker, "b")).unowned, 4);
  // Late, but nobody took them: renewed as if nothing had been.
  assert.equal((await renewLeases(world.worker, "a")).length, 4);
  assert.deepEqual(await claim(true), []);
  await runOut();
  assert.equal((await claim(true)).length, 1);
  assert.equal((await renewLeases(world.worker, "a")).length, 3);
});

test("a released shard is offered to the newest generation for 2 s", async () => {
  await takeAll(world, "old-a");
  await register("old-b");
  await register("new", 2);
  await releaseShards(world.worker, "old-a");
  const options = { limit: 2, mayTakeExpired: true };
  assert.deepEqual(await claimShards(world.worker, "old-b", options), []);
  assert.equal((await claimShards(world.worker, "new", options)).length, 2);
  await world.superuser.query("update shard_leases set released_at = now() - interval '3 s'");
  assert.equal((await claimShards(world.worker, "old-b", options)).length, 2);
});

test("a draining or silent worker does not count", async () => {
  await register("a");
  await register("b");
  await heartbeat(world.worker, "b", { draining: true });
  assert.equal((await countShards(world.worker, "a")).liveWorkers, 1);
  await world.superuser.query(
    "update workers set seen_at = now() - interval '11 s' where worker_id = 'a'",
  );
  assert.equal((await countShards(world.worker, "a")).liveWorkers, 0);
  assert.equal(await heartbeat(world.worker, "nobody", { draining: false }), false);
  await removeWorker(world.worker, "b");
  assert.deepEqual(
    (await listWorkers(world.platform)).map(({ workerId, isLive }) => [workerId, isLive]),
    [["a", false]],
  );
});

test("a hand-over is seen when the taker has opened the shard", async () => {
  const [shard] = await takeAll(world, "a");
  assert.ok(shard);
  await markShardOpen(world.worker, "a", shard);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), false);
  await releaseShards(world.worker, "a", [shard.shardId]);
  const [taken] = await takeAll(world, "b");
  assert.ok(taken);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), false);
  assert.equal(await markShardOpen(world.worker, "a", taken), false);
  assert.equal(await markShardOpen(world.worker, "b", taken), true);
  assert.equal(await isShardOpen(world.worker, shard.shardId, shard.epoch), true);
});

test("the owner adopts new numbers, sees changed ones and misses removed ones", async () => {
  const shards = await takeAll(world, "a");
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo, { phone: "79001234567" });
  const [adopted] = await adoptNumbers(world.worker, "a");
  assert.equal(adopted?.numberNo, number.numberNo);
  assert.equal(adopted?.companyId, company.companyId);
  const lease = shards.find(({ shardId }) => shardId === adopted?.shardId);
  assert.equal(adopted?.epoch, lease?.epoch);
  assert.equal(adopted?.phone, "79001234567");
  assert.deepEqual(await adoptNumbers(world.worker, "a"), []);
  assert.deepEqual(await adoptNumbers(world.worker, "b"), []);

  const owned = await listOwnedNumbers(world.worker, "a", adopted?.shardId ?? 0);
  assert.deepEqual(
    owned.map(({ numberNo }) => numberNo),
    [number.numberNo],
  );

  const later = new Date(Date.now() + 60_000);
  assert.deepEqual(await changedNumbers(world.worker, "a", later), []);
  const cursor = adopted?.updatedAt ?? later;
  await inTransaction(world.platform, (tx) =>
    updateNumber(tx, company.companyNo, number.numberNo, { desiredState: "disconnected" }),
  );
  const [changed] = await changedNumbers(world.worker, "a", cursor);
  assert.equal(changed?.desiredState, "disconnected");
  await updateCompany(world.platform, company.companyNo, { whatsappEnabled: false });
  const [again] = await changedNumbers(world.worker, "a", changed?.updatedAt ?? later);
  assert.equal(again?.companyEnabled, false);

  assert.ok((await ownedNumberNos(world.worker, "a")).includes(number.numberNo));
  await inTransaction(world.platform, (tx) => removeNumber(tx, company.companyNo, number.numberNo));
  assert.ok(!(await ownedNumberNos(world.worker, "a")).includes(number.numberNo));
});

test("a former owner cannot lower a fence", async () => {
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo);
  await world.superuser.query("update number_fence set epoch = 40 where number_no = $1", [
    number.numberNo,
  ]);
  await raiseFences(world.worker, number.shardId, 39);
  const { rows } = await world.superuser.query<{ epoch: string }>(
    "select epoch from number_fence where number_no = $1",
    [number.numberNo],
  );
  assert.equal(rows[0]?.epoch, "40");
});

test("operators see all shards, and ranges cannot overlap", async () => {
  const shards = await listShards(world.platform);
  assert.deepEqual(
    shards.map(({ lo, hi }) => [lo, hi]),
    [0, 1, 2, 3].map((n) => [n * SHARD_SIZE + 1, (n + 1) * SHARD_SIZE + 1]),
  );
  await assert.rejects(
    world.superuser.query("insert into shards (shard_id, lo, hi) values (99, 64, 66)"),
    /exclusion constraint/,
  );
});
