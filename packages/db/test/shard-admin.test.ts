import assert from "node:assert/strict";
import { after, before, beforeEach, describe, test } from "node:test";
import { newCommandId } from "@manyline/contracts";
import {
  askDrain,
  claimCommands,
  enqueueCommand,
  fencedTransaction,
  type HeldShard,
  inTransaction,
  listOwnedNumbers,
  listShardMoves,
  listShards,
  mergeShards,
  raiseFences,
  type NumberRow,
  readShares,
  readStatus,
  releaseShards,
  setNumberStatus,
  SHARD_SIZE,
  splitShard,
  wishShard,
} from "../src/index.ts";
import { addShards, claim, freeAll, register, renew, wishOf } from "./fleet-support.ts";
import { addCompany, addNumber, openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
  await addShards(world, 3);
});
beforeEach(() => freeAll(world));
after(() => world[Symbol.asyncDispose]());

const ids = (shards: { shardId: number }[]) => shards.map(({ shardId }) => shardId);

async function shardRow(shardId: number) {
  const row = (await listShards(world.platform)).find((one) => one.shardId === shardId);
  assert.ok(row, `shard ${shardId}`);
  return row;
}

async function fenceOf(numberNo: number): Promise<number> {
  const { rows } = await world.superuser.query<{ epoch: string }>(
    "select epoch from number_fence where number_no = $1",
    [numberNo],
  );
  return Number(rows[0]?.epoch);
}

/** Registers a worker that owns everything, fences raised. */
async function ownAll(workerId: string): Promise<Map<number, HeldShard>> {
  await register(world, workerId);
  const shards = await claim(world, workerId);
  for (const { shardId, epoch } of shards) await raiseFences(world.worker, shardId, epoch);
  return new Map(shards.map((shard) => [shard.shardId, shard]));
}

/** A fresh shard with `count` companies of one number each, in the order of company_no. */
async function filledShard(count: number) {
  const last = Math.max(...(await listShards(world.platform)).map(({ hi }) => hi)) - 1;
  await world.superuser.query("update company_counter set last_no = $1", [last]);
  const numbers = [];
  for (let company = 0; company < count; company += 1) {
    const { companyNo } = await addCompany(world);
    numbers.push(await addNumber(world, companyNo));
  }
  const shardId = numbers[0]?.shardId ?? 0;
  return { shardId, numbers };
}

describe("what operators wish", () => {
  test("a pinned shard goes to its host, whatever it weighs, and is released by another's", async () => {
    const [shard] = await listShards(world.platform);
    assert.ok(shard);
    const { shardId } = shard;
    await ownAll("a");
    await register(world, "b");
    assert.equal(await wishOf(world, "a", shardId), null);
    assert.equal(await wishShard(world.platform, shardId, { pinnedTo: "host-b" }), true);
    assert.deepEqual(await wishOf(world, "a", shardId), { kind: "release" });
    await releaseShards(world.worker, "a");
    // For a it is not there; b takes it although it may take no weight at all.
    assert.equal(
      (await readShares(world.worker, "a")).claimable,
      (await listShards(world.platform)).length - 1,
    );
    assert.ok(!ids(await claim(world, "a")).includes(shardId));
    assert.deepEqual(ids(await claim(world, "b", { maxWeight: 0 })), [shardId]);
    assert.equal(await wishOf(world, "b", shardId), null);
  });

  test("a pin binds only while a worker of its host is there and takes shards", async () => {
    const [shard] = await listShards(world.platform);
    assert.ok(shard);
    const { shardId } = shard;
    await wishShard(world.platform, shardId, { pinnedTo: "host-b" });
    const shards = await ownAll("a");
    assert.ok(shards.has(shardId), "free for all without its host");
    await register(world, "b");
    assert.deepEqual(await wishOf(world, "a", shardId), { kind: "release" });
    await renew(world, "b", { draining: true });
    assert.equal(await wishOf(world, "a", shardId), null);
    await wishShard(world.platform, shardId, { pinnedTo: null });
    await renew(world, "b");
    assert.equal(await wishOf(world, "a", shardId), null);
  });

  test("a paused shard is released, taken by nobody, and taken again when it is resumed", async () => {
    const shards = await ownAll("a");
    const [shardId] = [...shards.keys()];
    assert.ok(shardId);
    await wishShard(world.platform, shardId, { paused: true, pinnedTo: "host-a" });
    assert.deepEqual(await wishOf(world, "a", shardId), { kind: "release" });
    await releaseShards(world.worker, "a", [shards.get(shardId) as HeldShard]);
    assert.deepEqual(await claim(world, "a"), []);
    assert.equal((await readShares(world.worker, "a")).claimable, 0);
    assert.equal((await shardRow(shardId)).paused, true);
    await wishShard(world.platform, shardId, { paused: false });
    assert.deepEqual(ids(await claim(world, "a")), [shardId]);
  });

  test("drain and resume reach the worker with its next renewal; it counts no more at once", async () => {
    await register(world, "a");
    await register(world, "b");
    assert.equal(await askDrain(world.platform, "nobody", true), false);
    assert.equal(await askDrain(world.platform, "a", true), true);
    assert.equal((await readShares(world.worker, "b")).liveWorkers, 1);
    assert.deepEqual(await claim(world, "a"), []);
    assert.equal((await renew(world, "a")).isDrainAsked, true);
    await askDrain(world.platform, "a", false);
    assert.equal((await renew(world, "a")).isDrainAsked, false);
    assert.equal((await readShares(world.worker, "b")).liveWorkers, 2);
  });

  test("split and merge reach the owner; a merge only when both are its own", async () => {
    const [lower, upper] = await listShards(world.platform);
    assert.ok(lower && upper);
    assert.equal(await wishShard(world.platform, lower.shardId, { splitAt: lower.lo }), false);
    assert.equal(await wishShard(world.platform, lower.shardId, { splitAt: lower.hi }), false);
    assert.equal(await wishShard(world.platform, 4711, { paused: true }), false);
    const at = lower.lo + 7;
    assert.equal(await wishShard(world.platform, lower.shardId, { splitAt: at }), true);
    const shards = await ownAll("a");
    assert.deepEqual(await wishOf(world, "a", lower.shardId), { kind: "split", at });
    await wishShard(world.platform, lower.shardId, { splitAt: null, mergeNext: true });
    const merge = { kind: "merge", upper: upper.shardId };
    assert.deepEqual(await wishOf(world, "a", lower.shardId), merge);
    await releaseShards(world.worker, "a", [shards.get(upper.shardId) as HeldShard]);
    assert.equal(await wishOf(world, "a", lower.shardId), null);
  });
});

describe("splitting and merging", () => {
  test("split by its owner: companies move, nobody owns the new shard, the taker's epoch fences the old owner", async () => {
    const { shardId, numbers } = await filledShard(4);
    const [first, , third, fourth] = numbers;
    assert.ok(first && third && fourth);
    const shard = (await ownAll("a")).get(shardId);
    assert.ok(shard);
    await renew(world, "a", { weights: [[shardId, 5]] });
    const at = third.companyNo;
    await wishShard(world.platform, shardId, { splitAt: at });
    const whole = await shardRow(shardId);

    const split = (more: { workerId: string | null; epoch?: number; at?: number }) =>
      splitShard(world.worker, { shardId, at, ...more });
    assert.equal(await split({ workerId: "b" }), undefined);
    assert.equal(await split({ workerId: null }), undefined, "somebody owns it");
    assert.equal(await split({ workerId: "a", epoch: shard.epoch - 1 }), undefined);
    assert.equal(await split({ workerId: "a", at: whole.lo }), undefined);
    const made = await split({ workerId: "a", epoch: shard.epoch });
    assert.ok(made !== undefined && !(await shardRow(made)).isLive);
    const [low, high] = [await shardRow(shardId), await shardRow(made)];
    assert.deepEqual([low.lo, low.hi, high.lo, high.hi], [whole.lo, at, at, whole.hi]);
    assert.deepEqual([low.owner, low.epoch, low.splitAt], ["a", shard.epoch, null]);
    assert.deepEqual([high.owner, high.epoch, high.numbers], [null, shard.epoch, 2]);
    assert.deepEqual([low.weight, high.weight], [3, 3]);
    const [move] = await listShardMoves(world.platform, { shardId: made, limit: 5 });
    assert.deepEqual([move?.how, move?.epoch, move?.previousWorkerId], ["split", shard.epoch, "a"]);
    const owned = await listOwnedNumbers(world.worker, "a", shardId);
    assert.deepEqual(new Set(owned.map(({ companyNo }) => companyNo)).size, 2);

    // The moved number is the old owner's until somebody claims and raises; then no more.
    const fence = { companyNo: fourth.companyNo, numberNo: fourth.numberNo, epoch: shard.epoch };
    await fencedTransaction(world.worker, fence, async () => undefined);
    await register(world, "b");
    await world.superuser.query("update shard_leases set released_at = null");
    const [taken] = await claim(world, "b");
    assert.deepEqual(taken, { shardId: made, epoch: shard.epoch + 1 });
    await raiseFences(world.worker, made, shard.epoch + 1);
    assert.equal(await fenceOf(fourth.numberNo), shard.epoch + 1);
    assert.equal(await fenceOf(first.numberNo), shard.epoch);
    await assert.rejects(
      fencedTransaction(world.worker, fence, async () => undefined),
      { name: "FencedError" },
    );
  });

  test("commands of what moved are claimed by its new owner only", async () => {
    const { shardId, numbers } = await filledShard(2);
    const [, second] = numbers;
    assert.ok(second);
    const { companyNo, numberNo } = second;
    const shard = (await ownAll("a")).get(shardId);
    const made = await splitShard(world.worker, { workerId: "a", shardId, at: companyNo });
    assert.ok(made !== undefined && shard);
    await inTransaction(world.platform, (tx) =>
      enqueueCommand(tx, {
        commandId: newCommandId(),
        companyNo,
        numberNo,
        verb: "reconnect",
        args: {},
        deadlineMs: 25_000,
      }),
    );
    const claimAs = async (workerId: string) =>
      (
        await claimCommands(
          world.worker,
          { workerId, shardIds: [shardId, made] },
          { limit: 10, perNumber: 10 },
        )
      ).length;
    assert.equal(await claimAs("a"), 0);
    await register(world, "b");
    const [taken] = await claim(world, "b");
    assert.equal(taken?.shardId, made);
    assert.equal(await claimAs("b"), 0, "its fence is not raised yet");
    await raiseFences(world.worker, made, taken?.epoch ?? 0);
    assert.equal(await claimAs("a"), 0);
    assert.equal(await claimAs("b"), 1);
  });

  test("merge by the owner of both: one shard that nobody owns, with the higher epoch", async () => {
    const { shardId, numbers } = await filledShard(3);
    const [first, , third] = numbers;
    assert.ok(first && third);
    await ownAll("a");
    const upper = await splitShard(world.worker, { workerId: "a", shardId, at: third.companyNo });
    assert.ok(upper !== undefined);
    // The upper one has had more owners: its epoch is higher.
    for (let round = 0; round < 3; round += 1) {
      const [taken] = await claim(world, "a");
      assert.ok(taken?.shardId === upper);
      await raiseFences(world.worker, upper, taken.epoch);
      if (round < 2) await releaseShards(world.worker, "a", [taken]);
    }
    const [low, high] = [await shardRow(shardId), await shardRow(upper)];
    assert.ok(high.epoch > low.epoch);
    const epochs = { epoch: low.epoch, upperEpoch: high.epoch };
    const merge = (more: { workerId: string | null; epoch?: number; upperEpoch?: number }) =>
      mergeShards(world.worker, { shardId, ...more });
    assert.equal(await merge({ workerId: null }), undefined);
    assert.equal(await merge({ workerId: "b" }), undefined);
    assert.equal(await merge({ workerId: "a", ...epochs, upperEpoch: high.epoch - 1 }), undefined);
    await wishShard(world.platform, shardId, { mergeNext: true });
    assert.equal(await merge({ workerId: "a", ...epochs }), upper);
    const merged = await shardRow(shardId);
    assert.deepEqual(
      [merged.lo, merged.hi, merged.owner, merged.epoch, merged.numbers, merged.mergeNext],
      [low.lo, high.hi, null, high.epoch, 3, false],
    );
    assert.ok(!ids(await listShards(world.platform)).includes(upper));
    const [move] = await listShardMoves(world.platform, { shardId, limit: 5 });
    assert.deepEqual([move?.how, move?.epoch, move?.previousWorkerId], ["merged", high.epoch, "a"]);
    // The next owner's epoch is above every fence there is.
    const [taken] = await claim(world, "a");
    assert.deepEqual(taken, { shardId, epoch: high.epoch + 1 });
    assert.equal(await raiseFences(world.worker, shardId, high.epoch + 1), 3);
    assert.equal(await fenceOf(first.numberNo), high.epoch + 1);
    assert.equal(await fenceOf(third.numberNo), high.epoch + 1);
  });

  test("connected is never believed by accident: not of a number that came from another shard with the same epoch", async () => {
    const { shardId, numbers } = await filledShard(2);
    const [low, high] = numbers;
    assert.ok(low && high);
    const connect = ({ companyNo, numberNo }: NumberRow, epoch: number) =>
      fencedTransaction(world.worker, { companyNo, numberNo, epoch }, (tx) =>
        setNumberStatus(
          tx,
          { companyNo, numberNo, epoch },
          {
            status: "connected",
            reason: "open",
            since: new Date(),
          },
        ),
      );
    const believed = () =>
      Promise.all(
        [low, high].map(async ({ companyNo, numberNo }) => {
          const row = await readStatus(world.platform, companyNo, numberNo);
          return row?.number.isOwnersWord;
        }),
      );
    const epoch = (await ownAll("a")).get(shardId)?.epoch;
    assert.ok(epoch !== undefined);
    await connect(low, epoch);
    await connect(high, epoch);
    assert.deepEqual(await believed(), [true, true]);

    const upper = await splitShard(world.worker, { workerId: "a", shardId, at: high.companyNo });
    assert.ok(upper !== undefined);
    assert.equal((await shardRow(upper)).epoch, epoch, "the same epoch as the half that stays");
    assert.deepEqual(await believed(), [true, false]);
    await register(world, "b");
    await world.superuser.query("update shard_leases set released_at = null");
    assert.deepEqual(await claim(world, "b"), [{ shardId: upper, epoch: epoch + 1 }]);
    assert.deepEqual(await believed(), [true, false]);
    await raiseFences(world.worker, upper, epoch + 1);
    await connect(high, epoch + 1);
    assert.deepEqual(await believed(), [true, true]);

    // Both at the same epoch, and merged: the epoch of neither number is that of the next owner.
    await releaseShards(world.worker, "a", [{ shardId, epoch }]);
    await world.superuser.query("update shard_leases set released_at = null");
    assert.ok(ids(await claim(world, "b")).includes(shardId));
    assert.equal((await shardRow(shardId)).epoch, epoch + 1);
    assert.deepEqual(await believed(), [false, true]);
    const epochs = { epoch: epoch + 1, upperEpoch: epoch + 1 };
    assert.equal(await mergeShards(world.worker, { workerId: "b", shardId, ...epochs }), upper);
    assert.deepEqual(await believed(), [false, false]);
    await world.superuser.query("update shard_leases set released_at = null");
    assert.deepEqual(await claim(world, "b"), [{ shardId, epoch: epoch + 2 }]);
    assert.deepEqual(await believed(), [false, false]);
  });

  test("while nobody owns them the gateway splits and merges; an id is not given twice", async () => {
    const { shardId, numbers } = await filledShard(2);
    const at = numbers[1]?.companyNo ?? 0;
    const made = await splitShard(world.platform, { workerId: null, shardId, at });
    assert.ok(made !== undefined);
    assert.equal(await mergeShards(world.platform, { workerId: null, shardId }), made);
    const again = await splitShard(world.platform, { workerId: null, shardId, at });
    assert.ok(again !== undefined && again > made);
    assert.equal(await mergeShards(world.platform, { workerId: null, shardId: again }), undefined);
    // Nor to the shard of a new range.
    const fresh = await filledShard(1);
    assert.ok(fresh.shardId > again);
    const row = await shardRow(fresh.shardId);
    assert.equal(row.hi - row.lo, SHARD_SIZE);
  });

  test("a pause and a pin go along with a split, and shards of which one is paused do not merge", async () => {
    const { shardId, numbers } = await filledShard(4);
    const at = numbers[2]?.companyNo;
    assert.ok(at);
    await inTransaction(world.platform, (tx) =>
      wishShard(tx, shardId, { paused: true, pinnedTo: "host" }),
    );
    const upper = await splitShard(world.platform, { workerId: null, shardId, at });
    assert.ok(upper);
    const { paused, pinnedTo } = await shardRow(upper);
    assert.deepEqual([paused, pinnedTo], [true, "host"]);
    await inTransaction(world.platform, (tx) => wishShard(tx, shardId, { paused: false }));
    assert.equal(await mergeShards(world.platform, { workerId: null, shardId }), undefined);
    await inTransaction(world.platform, (tx) => wishShard(tx, shardId, { paused: true }));
    assert.equal(await mergeShards(world.platform, { workerId: null, shardId }), upper);
    assert.equal((await shardRow(shardId)).paused, true);
  });

  test("companies that come while shards are split and merged are in the right one", async () => {
    const { shardId, numbers } = await filledShard(1);
    const { lo } = await shardRow(shardId);
    const at = lo + 8;
    assert.equal(numbers.length, 1);
    const reshape = async () => {
      for (let round = 0; round < 12; round += 1) {
        await splitShard(world.platform, { workerId: null, shardId, at });
        await mergeShards(world.platform, { workerId: null, shardId });
      }
    };
    const create = async () => {
      for (let count = 0; count < 24; count += 1) await addCompany(world);
    };
    await Promise.all([reshape(), create()]);
    const { rows } = await world.superuser.query<{ company_no: number }>(
      `select c.company_no from companies c join shards s on s.shard_id = c.shard_id
        where c.company_no < s.lo or c.company_no >= s.hi`,
    );
    assert.deepEqual(rows, []);
  });
});
