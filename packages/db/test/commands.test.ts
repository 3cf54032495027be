import assert from "node:assert/strict";
import { after, afterEach, before, test } from "node:test";
import { newCommandId } from "@manyline/contracts";
import {
  claimCommands,
  enqueueCommand,
  expireCommands,
  fencedTransaction,
  finishCommand,
  getCommand,
  giveUpCommand,
  raiseFences,
  releaseShards,
  withCompany,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, ownedNumber, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
afterEach(() => world.superuser.query("delete from commands"));
after(() => world[Symbol.asyncDispose]());

async function enqueue(companyNo: number, numberNo: number, deadlineMs = 25_000) {
  const commandId = newCommandId();
  const answer = await withCompany(world.app, companyNo, (tx) =>
    enqueueCommand(tx, {
      commandId,
      companyNo,
      numberNo,
      verb: "pair_code",
      args: { phone: "79001234567" },
      deadlineMs,
      traceparent: null,
    }),
  );
  return { commandId, ...answer };
}

async function claim(shardId: number, workerId = "w1", limit = 10) {
  return claimCommands(world.worker, { workerId, shardIds: [shardId] }, { limit, perNumber: 20 });
}

const result = { attemptId: "pai_1" };

test("a command waits for its owner, is claimed once, and its result is read by the gateway", async () => {
  const { fence, number } = await ownedNumber(world);
  const { commandId, shardId, hasOwner } = await enqueue(fence.companyNo, fence.numberNo);
  assert.equal(hasOwner, true);
  assert.equal(shardId, number.shardId);
  const [command, ...more] = await claim(shardId);
  assert.deepEqual(more, []);
  assert.equal(command?.commandId, commandId);
  assert.deepEqual(command?.args, { phone: "79001234567" });
  assert.deepEqual(
    [command?.state, command?.attempts, command?.epoch],
    ["claimed", 1, fence.epoch],
  );
  assert.deepEqual(await claim(shardId), []);
  const finish = () =>
    fencedTransaction(world.worker, fence, (tx) =>
      finishCommand(tx, commandId, { state: "done", result }),
    );
  assert.equal(await finish(), true);
  assert.equal(await finish(), false, "a command ends once");
  const read = await withCompany(world.app, fence.companyNo, (tx) => getCommand(tx, commandId));
  assert.deepEqual([read?.state, read?.result, read?.error], ["done", result, null]);
});

test("oldest first, and two claims at once share the work", async () => {
  const { fence, number } = await ownedNumber(world);
  const ids: string[] = [];
  for (let count = 0; count < 12; count += 1) {
    ids.push((await enqueue(fence.companyNo, fence.numberNo)).commandId);
  }
  const first = await claim(number.shardId, "w1", 4);
  assert.deepEqual(
    first.map(({ commandId }) => commandId),
    ids.slice(0, 4),
  );
  const [a, b] = await Promise.all([
    claim(number.shardId, "w1", 20),
    claim(number.shardId, "w1", 20),
  ]);
  const rest = [...a, ...b].map(({ commandId }) => commandId);
  assert.deepEqual(rest.toSorted(), ids.slice(4).toSorted());
});

test("only the owner claims, and only numbers whose fence is raised", async () => {
  const { fence, number, company } = await ownedNumber(world);
  await enqueue(fence.companyNo, fence.numberNo);
  assert.deepEqual(await claim(number.shardId, "somebody else"), []);
  const fresh = await addNumber(world, company.companyNo);
  await enqueue(company.companyNo, fresh.numberNo);
  const claimed = await claim(number.shardId);
  assert.deepEqual(
    claimed.map(({ numberNo }) => numberNo),
    [fence.numberNo],
  );
});

test("a new owner claims again what the former one had not finished; the former one's result is refused", async () => {
  const { fence, number } = await ownedNumber(world);
  const { commandId } = await enqueue(fence.companyNo, fence.numberNo);
  assert.equal((await claim(number.shardId)).length, 1);
  await releaseShards(world.worker, "w1", [{ shardId: number.shardId, epoch: fence.epoch }]);
  const [taken] = await takeAll(world, "w2");
  assert.equal(taken?.shardId, number.shardId);
  const [again] = await claim(number.shardId, "w2");
  assert.deepEqual([again?.commandId, again?.attempts], [commandId, 2]);
  await assert.rejects(
    fencedTransaction(world.worker, fence, (tx) =>
      finishCommand(tx, commandId, { state: "done", result }),
    ),
    { name: "FencedError" },
  );
  const mine = { ...fence, epoch: taken?.epoch ?? 0 };
  const isMine = await fencedTransaction(world.worker, mine, (tx) =>
    finishCommand(tx, commandId, { state: "failed", error: { code: "PAIRING_CODE_FAILED" } }),
  );
  assert.equal(isMine, true);
  await releaseShards(world.worker, "w2");
  await takeAll(world, "w1");
});

test("past its deadline a command is dead, whoever looks first, and has no later effect", async () => {
  const { fence, number } = await ownedNumber(world);
  const late = await enqueue(fence.companyNo, fence.numberNo, -1);
  assert.deepEqual(await claim(number.shardId), []);
  const dead = await getCommand(world.worker, late.commandId);
  assert.deepEqual([dead?.state, dead?.error], ["dead", { reason: "deadline" }]);

  const running = await enqueue(fence.companyNo, fence.numberNo);
  await claim(number.shardId);
  await world.superuser.query(
    "update commands set deadline_at = now() - interval '5 s' where command_id = $1",
    [running.commandId],
  );
  assert.equal(await expireCommands(world.worker), 1);
  const isTold = await fencedTransaction(world.worker, fence, (tx) =>
    finishCommand(tx, running.commandId, { state: "done", result }),
  );
  assert.equal(isTold, false);
  assert.equal((await getCommand(world.worker, running.commandId))?.state, "dead");
});

test("outside its fence, or under another's, a worker ends no command", async () => {
  const { fence, number } = await ownedNumber(world);
  const { commandId } = await enqueue(fence.companyNo, fence.numberNo);
  const [command] = await claim(number.shardId);
  assert.ok(command);
  const outcomes = [
    { state: "done", result },
    { state: "dead", reason: "draining" },
  ] as const;
  const other = await ownedNumber(world);
  for (const outcome of outcomes) {
    assert.equal(await finishCommand(world.worker, commandId, outcome), false);
    const byOther = await fencedTransaction(world.worker, other.fence, (tx) =>
      finishCommand(tx, commandId, outcome),
    );
    assert.equal(byOther, false);
  }
  const stale = { ...command, epoch: fence.epoch - 1 };
  await assert.rejects(giveUpCommand(world.worker, stale, "draining"), { name: "FencedError" });
  assert.equal(await giveUpCommand(world.worker, command, "draining"), true);
  assert.equal(await giveUpCommand(world.worker, command, "draining"), false);
  const dead = await getCommand(world.worker, commandId);
  assert.deepEqual([dead?.state, dead?.error], ["dead", { reason: "draining" }]);
});

test("without a live lease there is no owner", async () => {
  const { fence, number } = await ownedNumber(world);
  await world.superuser.query(
    "update shard_leases set expires_at = now() - interval '1 s' where shard_id = $1",
    [number.shardId],
  );
  assert.equal((await enqueue(fence.companyNo, fence.numberNo)).hasOwner, false);
  await releaseShards(world.worker, "w1");
  assert.equal((await enqueue(fence.companyNo, fence.numberNo)).hasOwner, false);
  const { companyNo } = await addCompany(world);
  const lonely = await addNumber(world, companyNo);
  await assert.rejects(enqueue(fence.companyNo, lonely.numberNo), /foreign key/);
  assert.equal(await raiseFences(world.worker, number.shardId, 0), 0);
});
