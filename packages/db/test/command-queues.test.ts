import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { newCommandId } from "@manyline/contracts";
import {
  claimCommands,
  type CommandRow,
  enqueueCommand,
  type Fence,
  fencedTransaction,
  finishCommand,
  getCommand,
  giveUpCommand,
  inTransaction,
  listCommands,
  raiseFences,
  releaseShards,
  recoverCommands,
  replayCommand,
  withCompany,
} from "../src/index.ts";
import { openWorld, ownedNumber, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
afterEach(() => world.superuser.query("delete from commands"));
after(() => world[Symbol.asyncDispose]());

async function enqueue(fence: Fence, queue?: string, deadlineMs = 60_000): Promise<string> {
  const commandId = newCommandId();
  const { companyNo, numberNo } = fence;
  await withCompany(world.app, companyNo, (tx) =>
    enqueueCommand(tx, {
      commandId,
      companyNo,
      numberNo,
      verb: "reconnect",
      args: {},
      deadlineMs,
      queue,
    }),
  );
  return commandId;
}

/** Many at once, each a millisecond younger than the one before. */
async function backlog(fence: Fence, count: number, queue: string): Promise<void> {
  await world.superuser.query(
    `insert into commands (company_no, number_no, command_id, verb, queue, deadline_at, created_at)
      select $1, $2, format('cmd_%s_%s', $2::int, lpad(i::text, 6, '0')), 'reconnect', format($3, i),
        now() + interval '1 hour', now() - interval '1 hour' + i * interval '1 ms'
      from generate_series(1, $4::int) i`,
    [fence.companyNo, fence.numberNo, queue, count],
  );
  await world.superuser.query("analyze commands");
}

async function claim(
  shardId: number,
  limits: { limit?: number; perNumber?: number; workerId?: string } = {},
): Promise<CommandRow[]> {
  const { limit = 100, perNumber = 10, workerId = "w1" } = limits;
  return claimCommands(world.worker, { workerId, shardIds: [shardId] }, { limit, perNumber });
}

const finish = (fence: Fence, { commandId }: { commandId: string }) =>
  fencedTransaction(world.worker, fence, (tx) =>
    finishCommand(tx, commandId, { state: "done", result: {} }),
  );
const ids = (commands: CommandRow[]) => commands.map(({ commandId }) => commandId);

describe("claims per number and queue", () => {
  test("of an offline number's backlog so many are claimed and no more, and others are not kept waiting", async () => {
    const offline = await ownedNumber(world);
    const online = await ownedNumber(world);
    await backlog(offline.fence, 10_000, "");
    const late = await enqueue(online.fence);
    const { shardId } = offline.number;
    assert.equal(online.number.shardId, shardId);
    const first = await claim(shardId);
    assert.equal(first.length, 11, "ten of the one and one of the other");
    assert.ok(ids(first).includes(late));
    assert.deepEqual(await claim(shardId), [], "nothing of it is finished");
    const { rows } = await world.superuser.query<{ claimed: string }>(
      "select count(*) as claimed from commands where state = 'claimed'",
    );
    assert.equal(rows[0]?.claimed, "11");
    // The oldest first; one that is finished makes room for one.
    const oldest = first.find(({ numberNo }) => numberNo === offline.fence.numberNo);
    assert.match(oldest?.commandId ?? "", /_000001$/);
    assert.equal(await finish(offline.fence, oldest as CommandRow), true);
    assert.deepEqual(
      ids(await claim(shardId)).map((id) => id.slice(-6)),
      ["000011"],
    );
  });

  test("what is read grows with the numbers that have commands, not with a backlog", async () => {
    const { fence, number } = await ownedNumber(world);
    await backlog(fence, 10_000, "");
    await claim(number.shardId);
    const seen = async (): Promise<number> => {
      const { rows } = await world.superuser.query<{ touched: string }>(
        `select coalesce(sum(idx_blks_hit + idx_blks_read), 0) as touched from pg_statio_user_tables
          where relname = 'commands'`,
      );
      return Number(rows[0]?.touched);
    };
    // Statistics of a session are flushed when it is idle: asked for in the same one.
    const single = world.open("worker", 1);
    const measure = async (): Promise<number> => {
      const start = await seen();
      for (let round = 0; round < 20; round += 1) {
        await claimCommands(
          single,
          { workerId: "w1", shardIds: [number.shardId] },
          { limit: 100, perNumber: 10 },
        );
      }
      await single.stop();
      return (await seen()) - start;
    };
    const blocks = await measure();
    assert.ok(blocks < 20 * 100, `${blocks} index blocks in 20 claims`);
  });

  test("of a queue with a name only the oldest open one, until it is finished", async () => {
    const { fence, number } = await ownedNumber(world);
    const a1 = await enqueue(fence, "chat-a");
    const a2 = await enqueue(fence, "chat-a");
    const b1 = await enqueue(fence, "chat-b");
    const own = [await enqueue(fence), await enqueue(fence)];
    const first = await claim(number.shardId);
    assert.deepEqual(ids(first), [a1, b1, ...own]);
    assert.deepEqual(
      first.map(({ queue }) => queue),
      ["chat-a", "chat-b", "", ""],
    );
    assert.deepEqual(await claim(number.shardId), []);
    await finish(fence, { commandId: b1 });
    assert.deepEqual(await claim(number.shardId), []);
    await finish(fence, { commandId: a1 });
    assert.deepEqual(ids(await claim(number.shardId)), [a2]);
  });

  test("of many queues the ones with the oldest command come first", async () => {
    const { fence, number } = await ownedNumber(world);
    await backlog(fence, 300, "chat-%s");
    const claimed = await claim(number.shardId, { perNumber: 5 });
    assert.deepEqual(
      claimed.map(({ queue }) => queue),
      ["chat-1", "chat-2", "chat-3", "chat-4", "chat-5"],
    );
  });

  test("a new owner takes the head of each queue again, and its own limit counts", async () => {
    const { fence, number } = await ownedNumber(world);
    const { shardId } = number;
    const head = await enqueue(fence, "chat-a");
    await enqueue(fence, "chat-a");
    await backlog(fence, 20, "");
    assert.equal((await claim(shardId)).length, 10);
    await releaseShards(world.worker, "w1");
    const [taken] = await takeAll(world, "w2");
    assert.equal(taken?.shardId, shardId);
    const again = await claim(shardId, { workerId: "w2" });
    assert.equal(again.length, 10);
    const { commandId, attempts } = again.find(({ queue }) => queue === "chat-a") ?? {};
    assert.deepEqual([commandId, attempts], [undefined, undefined], "the backlog is older");
    const everything = await claim(shardId, { workerId: "w2", perNumber: 50 });
    const found = everything.find(({ queue }) => queue === "chat-a");
    assert.equal(found?.commandId, head);
    assert.equal(everything.length, 11);
    await releaseShards(world.worker, "w2");
    await takeAll(world, "w1");
  });

  test("a claim does not wait for a take-over, and takes nothing of what is being raised", async () => {
    const { fence, number } = await ownedNumber(world);
    const other = await ownedNumber(world);
    const id = await enqueue(fence);
    const mine = await enqueue(other.fence);
    await world.superuser.query("begin");
    await world.superuser.query("update number_fence set epoch = epoch + 1 where number_no = $1", [
      fence.numberNo,
    ]);
    try {
      assert.deepEqual(ids(await claim(number.shardId)), [mine]);
    } finally {
      await world.superuser.query("rollback");
    }
    assert.deepEqual(ids(await claim(number.shardId)), [id]);
  });
});

describe("commands that end badly", () => {
  test("one that five owners claimed without a result is dead", async () => {
    const { fence, number } = await ownedNumber(world);
    const { shardId } = number;
    const commandId = await enqueue(fence, "chat-a", 3_600_000);
    const next = await enqueue(fence, "chat-a", 3_600_000);
    for (let owner = 1; owner <= 5; owner += 1) {
      const [command] = await claim(shardId);
      assert.deepEqual([command?.commandId, command?.attempts], [commandId, owner]);
      await releaseShards(world.worker, "w1");
      await takeAll(world, "w1");
    }
    assert.deepEqual(await claim(shardId), []);
    const dead = await getCommand(world.worker, commandId);
    assert.deepEqual(
      [dead?.state, dead?.error, dead?.attempts],
      ["dead", { reason: "attempts" }, 5],
    );
    assert.deepEqual(ids(await claim(shardId)), [next], "its queue goes on");
  });

  test("a backlog past its deadline dies at once and keeps nothing waiting", async () => {
    const { fence, number } = await ownedNumber(world);
    await backlog(fence, 1_500, "");
    await world.superuser.query("update commands set deadline_at = now() - interval '1 s'");
    const fresh = await enqueue(fence);
    assert.deepEqual(ids(await claim(number.shardId)), [fresh]);
    const { rows } = await world.superuser.query<{ state: string; count: string }>(
      "select state, count(*) from commands group by state order by state",
    );
    assert.deepEqual(rows, [
      { state: "claimed", count: "1" },
      { state: "dead", count: "1500" },
    ]);
  });

  test("a dead one is replayed under a new id, once, and only by the platform", async () => {
    const { fence, number } = await ownedNumber(world);
    const commandId = await enqueue(fence, "chat-a");
    const replay = (id: string, newId: string) =>
      inTransaction(world.platform, (tx) => replayCommand(tx, id, newId, 25_000));
    assert.equal(await replay(commandId, newCommandId()), undefined, "it is not dead");
    assert.equal(await replay("cmd_unknown", newCommandId()), undefined);
    const [claimed] = await claim(number.shardId);
    assert.ok(claimed);
    await giveUpCommand(world.worker, claimed, "test");
    const [newId, another] = [newCommandId(), newCommandId()];
    const both = await Promise.all([replay(commandId, newId), replay(commandId, another)]);
    const [replayed, ...more] = both.filter((one) => one !== undefined);
    assert.ok(replayed);
    assert.deepEqual(more, [], "two operators at once");
    const { shardId, hasOwner, command } = replayed;
    assert.deepEqual([shardId, hasOwner], [number.shardId, true]);
    assert.deepEqual(
      [command.replayOf, command.verb, command.queue, command.state, command.attempts],
      [commandId, "reconnect", "chat-a", "queued", 0],
    );
    assert.deepEqual(ids(await claim(number.shardId)), [command.commandId]);
    await assert.rejects(
      withCompany(world.app, fence.companyNo, (tx) =>
        replayCommand(tx, commandId, newCommandId(), 25_000),
      ),
      /permission denied/,
    );
  });

  test("operators list them over all companies, by state, company and page", async () => {
    const a = await ownedNumber(world);
    const b = await ownedNumber(world);
    const all = [await enqueue(a.fence), await enqueue(b.fence), await enqueue(a.fence)];
    for (const command of await claim(a.number.shardId)) {
      if (command.commandId !== all[2]) await giveUpCommand(world.worker, command, "test");
    }
    const list = async (page: Partial<Parameters<typeof listCommands>[1]>) =>
      ids(await listCommands(world.platform, { limit: 10, ...page }));
    assert.deepEqual(await list({}), all.toReversed());
    assert.deepEqual(await list({ limit: 1, before: all[2] }), [all[1]]);
    assert.deepEqual(await list({ state: "dead" }), [all[1], all[0]]);
    assert.deepEqual(await list({ state: "dead", companyNo: a.fence.companyNo }), [all[0]]);
    const seenByA = await withCompany(world.app, a.fence.companyNo, (tx) =>
      listCommands(tx, { limit: 10 }),
    );
    assert.deepEqual(ids(seenByA), [all[2], all[0]]);
    assert.equal(await raiseFences(world.worker, a.number.shardId, 0), 0);
  });
});

describe("claims whose answer was lost", () => {
  test("come back to the worker that does not know of them, and to nobody else", async () => {
    const one = await ownedNumber(world);
    const { shardId } = one.number;
    const [known, lost] = [await enqueue(one.fence), await enqueue(one.fence)];
    assert.equal((await claim(shardId)).length, 2);
    assert.deepEqual(await claim(shardId), []);
    const owner = { workerId: "w1", shardIds: [shardId] };
    assert.equal(await recoverCommands(world.worker, { ...owner, workerId: "w2" }, [known]), 0);
    assert.equal(await recoverCommands(world.worker, { ...owner, shardIds: [] }, [known]), 0);
    assert.equal(await recoverCommands(world.worker, owner, [known]), 1);
    const again = await claim(shardId);
    assert.deepEqual(ids(again), [lost]);
    assert.equal(again[0]?.attempts, 2);
    assert.equal(await finish(one.fence, { commandId: lost }), true);
    assert.equal(await recoverCommands(world.worker, owner, [known, lost]), 0);
  });

  test("a queue with a name goes on behind one that came back", async () => {
    const one = await ownedNumber(world);
    const { shardId } = one.number;
    const [first] = [await enqueue(one.fence, "a chat"), await enqueue(one.fence, "a chat")];
    assert.deepEqual(ids(await claim(shardId)), [first]);
    const owner = { workerId: "w1", shardIds: [shardId] };
    assert.equal(await recoverCommands(world.worker, owner, []), 1);
    assert.deepEqual(ids(await claim(shardId)), [first]);
  });
});
