/** Several workers and the shards between them: balance, hand-over, an operator's wishes, a frozen worker. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { after, before, it } from "node:test";
import {
  askDrain,
  inTransaction,
  listShardMoves,
  listShards,
  listWorkers,
  openDatabase,
  raiseFences,
  SHARD_SIZE,
  wishShard,
  type CompanyRow,
  type NumberRow,
  type ShardRow,
  type WorkerRow,
} from "@manyline/db";
import { until } from "@manyline/testkit";
import { openRoom, type Room } from "./room.ts";

/** Shards of this test; one linked number in each. */
const SHARDS = 4;
let room: Room;
let second: ChildProcess;
const numbers: NumberRow[] = [];
const phones: string[] = [];

before(async () => {
  room = await openRoom({ env: { WORKER_HOST: "first" } });
  const companies: CompanyRow[] = [];
  while (companies.length < (SHARDS - 1) * SHARD_SIZE + 1) companies.push(await room.company());
  for (let shard = 0; shard < SHARDS; shard += 1) {
    const company = companies[shard * SHARD_SIZE];
    assert.ok(company);
    const number = await room.number(company);
    const phone = room.phone();
    await link(number, phone);
    numbers.push(number);
    phones.push(phone);
  }
});
after(() => room.close());

async function link(number: NumberRow, phone: string): Promise<void> {
  await room.command(number, "pair_code", { phone });
  const code = await until(() => room.secret(number), { label: "a code" });
  await room.simulator.server.phone(phone).enterCode(code);
  await until(async () => (await room.status(number)).number.status === "connected", {
    label: "connected",
  });
}

const shards = (): Promise<ShardRow[]> => listShards(room.platform);
const workers = (): Promise<WorkerRow[]> => listWorkers(room.platform);
const hostOf = async (shard: ShardRow): Promise<string | undefined> =>
  (await workers()).find(({ workerId }) => workerId === shard.owner)?.host;
async function hosts(): Promise<(string | undefined)[]> {
  return Promise.all((await shards()).map(hostOf));
}
async function settled(wanted: (hosts: (string | undefined)[]) => boolean, label: string) {
  await until(async () => wanted(await hosts()), { label, deadlineMs: 20_000 });
}
/** Every number's device is connected at WhatsApp, once, and the database says so. */
async function allConnected(deadlineMs = 20_000): Promise<void> {
  for (const [index, number] of numbers.entries()) {
    await until(
      async () => {
        const device = [...room.simulator.server.account(phones[index] ?? "").devices.values()][0];
        const { number: row } = await room.status(number);
        const isTold = row.status === "connected" && row.isOwnersWord;
        return isTold && device?.connection?.isOpen === true;
      },
      { label: `number ${index} connected`, deadlineMs },
    );
  }
}
const lateStanzas = (): number => room.simulator.server.record.summary({ since: 0 }).lateStanzas;

it("a worker that joins gets its share, each number moving once, and nothing moves after that", async () => {
  const movesBefore = (await listShardMoves(room.platform, { limit: 100 })).length;
  second = await room.spawn({ WORKER_HOST: "second" });
  await settled((all) => all.filter((host) => host === "second").length === 2, "half and half");
  await allConnected();
  const moves = (await listShardMoves(room.platform, { limit: 100 })).length - movesBefore;
  assert.equal(moves, 2);
  const rows = await workers();
  assert.deepEqual(
    rows.map(({ host, shards: count }) => [host, count]),
    [
      ["first", 2],
      ["second", 2],
    ],
  );
  assert.equal(lateStanzas(), 0);
});

it("a drained worker hands everything over and stays; put back, it gets its share again", async () => {
  const first = (await workers()).find(({ host }) => host === "first");
  assert.ok(first);
  assert.equal(
    await inTransaction(room.platform, (tx) => askDrain(tx, first.workerId, true)),
    true,
  );
  await settled((all) => all.every((host) => host === "second"), "all on the second");
  await allConnected();
  await until(async () => (await workers()).find(({ host }) => host === "first")?.draining, {
    label: "the worker says that it drains",
  });
  await inTransaction(room.platform, (tx) => askDrain(tx, first.workerId, false));
  await settled((all) => all.filter((host) => host === "first").length === 2, "half and half");
  await allConnected();
});

it("a pin moves a shard to a host and keeps it there; a pause closes it", async () => {
  const shard = (await shards()).find((one) => one.shardId === numbers[0]?.shardId);
  assert.ok(shard);
  const { shardId } = shard;
  const other = (await hostOf(shard)) === "first" ? "second" : "first";
  const wish = (patch: Parameters<typeof wishShard>[2]) =>
    inTransaction(room.platform, (tx) => wishShard(tx, shardId, patch));
  await wish({ pinnedTo: other });
  const now = async (): Promise<ShardRow> => {
    const row = (await shards()).find((one) => one.shardId === shardId);
    assert.ok(row);
    return row;
  };
  await until(async () => (await hostOf(await now())) === other, { label: "pinned" });
  await allConnected();
  // It weighs more than the host's share, and stays: nobody else could take it.
  const { epoch } = await now();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  assert.equal((await now()).epoch, epoch);
  await wish({ pinnedTo: null, paused: true });
  await until(async () => (await now()).owner === null, { label: "paused" });
  const first = numbers[0];
  assert.ok(first);
  await until(
    () =>
      !room.simulator.server
        .account(phones[0] ?? "")
        .devices.values()
        .next().value?.connection,
    {
      label: "closed at WhatsApp",
    },
  );
  assert.equal((await room.status(first)).hasOwner, false);
  await wish({ paused: false });
  await allConnected();
});

it("a hot shard is split by its owner and merged again; numbers keep working, epochs only grow", async () => {
  const [number] = numbers;
  assert.ok(number);
  // A second linked number at the shard's other end.
  const company = await room.company();
  const late = await room.number(company);
  const phone = room.phone();
  await link(late, phone);
  numbers.push(late);
  phones.push(phone);
  const whole = (await shards()).find(
    ({ lo, hi }) => lo <= company.companyNo && company.companyNo < hi,
  );
  assert.ok(whole);
  await inTransaction(room.platform, (tx) =>
    wishShard(tx, whole.shardId, { splitAt: company.companyNo }),
  );
  const upper = await until(
    async () => (await shards()).find(({ lo }) => lo === company.companyNo),
    { label: "the upper half" },
  );
  assert.equal(
    (await shards()).find(({ shardId }) => shardId === whole.shardId)?.hi,
    company.companyNo,
  );
  await allConnected();
  const split = (await shards()).find(({ shardId }) => shardId === upper.shardId);
  assert.ok(split && split.epoch > whole.epoch);

  const host = await hostOf(split);
  assert.ok(host);
  await inTransaction(room.platform, async (tx) => {
    await wishShard(tx, whole.shardId, { pinnedTo: host, mergeNext: true });
    await wishShard(tx, upper.shardId, { pinnedTo: host });
  });
  await until(async () => (await shards()).every(({ shardId }) => shardId !== upper.shardId), {
    label: "merged",
  });
  await allConnected();
  const merged = (await shards()).find(({ shardId }) => shardId === whole.shardId);
  assert.ok(merged && merged.epoch > split.epoch && merged.hi === whole.hi);
});

it("a worker that was frozen past its leases sends and writes nothing, and goes on under a new name", async () => {
  const frozen = (await workers()).find(({ host }) => host === "second");
  assert.ok(frozen);
  second.kill("SIGSTOP");
  await settled((all) => all.every((host) => host === "first"), "all on the first");
  await allConnected();
  second.kill("SIGCONT");
  const again = await until(
    async () =>
      (await workers()).find(
        ({ host, workerId }) => host === "second" && workerId !== frozen.workerId,
      ),
    { label: "a new incarnation" },
  );
  assert.ok(again);
  await settled((all) => all.includes("second"), "a share again");
  await allConnected();
  assert.equal(lateStanzas(), 0);
});

it("SIGTERM hands over at once", async () => {
  const startedAt = performance.now();
  const ended = once(second, "exit");
  second.kill("SIGTERM");
  await ended;
  await settled((all) => all.every((host) => host === "first"), "all on the first");
  await allConnected();
  assert.ok(performance.now() - startedAt < 15_000);
  assert.equal(lateStanzas(), 0);
});

it("a claimer that is frozen before it wrote anything is not believed for what its predecessor saw", async () => {
  const [number] = numbers;
  assert.ok(number);
  const { shardId } = number;
  const { epoch } = (await shards()).find((one) => one.shardId === shardId) ?? { epoch: 0 };
  await using db = openDatabase({
    url: room.database.urls.worker,
    role: "worker",
    applicationName: "frozen",
  });
  // All that a worker does before it freezes at the worst moment: the lease, the fences, no status.
  const frozenUntil = new Date(Date.now() + 3_000);
  await db
    .updateTable("shardLeases")
    .set({ owner: "frozen", epoch: epoch + 1, claimedAt: new Date(), expiresAt: frozenUntil })
    .where("shardId", "=", shardId)
    .execute();
  await raiseFences(db, shardId, epoch + 1);
  const taken = await room.status(number);
  assert.deepEqual(
    [taken.number.status, taken.hasOwner, taken.number.isOwnersWord],
    ["connected", true, false],
  );
  const again = await until(
    async () => {
      const row = await room.status(number);
      if (row.number.status !== "connected") return undefined;
      // Until it is written anew nobody believes it.
      assert.equal(row.number.isOwnersWord, row.number.since > taken.number.since);
      return row.number.isOwnersWord ? row : undefined;
    },
    { label: "connected by the next owner", deadlineMs: 30_000, intervalMs: 50 },
  );
  assert.ok(again.dbNow > frozenUntil);
  await allConnected();
});
