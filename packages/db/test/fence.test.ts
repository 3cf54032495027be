import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "@manyline/testkit";
import { Client } from "pg";
import {
  appendEvents,
  type Fence,
  FencedError,
  fencedTransaction,
  raiseFences,
  readAuth,
  setNumberStatus,
  writeAuth,
} from "../src/index.ts";
import { ownedNumber, openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

/** A raw connection as a worker, to stop a writer in the middle of its transaction. */
async function connectWorker(): Promise<Client & AsyncDisposable> {
  const client = new Client({ connectionString: world.test.urls.worker });
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

async function shardOf(fence: Fence): Promise<number> {
  const { rows } = await world.superuser.query<{ shard_id: number }>(
    "select shard_id from companies where company_no = $1",
    [fence.companyNo],
  );
  return rows[0]?.shard_id ?? 0;
}

/** Resolves when the session waits for a lock of another one. */
async function isWaiting(application: string): Promise<void> {
  await until(
    async () => {
      const { rowCount } = await world.superuser.query(
        `select from pg_stat_activity where datname = $1 and application_name = $2
          and wait_event_type = 'Lock'`,
        [world.test.name, application],
      );
      return (rowCount ?? 0) > 0;
    },
    { label: "a waiting session" },
  );
}

describe("a take-over while a write is in flight", () => {
  test("the new owner waits for the writer, and the writer's next write is fenced", async () => {
    const { fence } = await ownedNumber(world);
    const { keyring } = world.test;
    await using writer = await connectWorker();
    await writer.query("begin");
    const { rows } = await writer.query<{ held: boolean }>(
      "select hold_fence($1, $2, $3) as held",
      [fence.companyNo, fence.numberNo, fence.epoch],
    );
    assert.equal(rows[0]?.held, true);

    const raised: string[] = [];
    const raising = (async () => {
      const count = await raiseFences(world.worker, await shardOf(fence), fence.epoch + 1);
      raised.push("raised");
      return count;
    })();
    await isWaiting("test");
    assert.deepEqual(raised, [], "the take-over must wait for the writer");
    await writer.query(
      "update numbers set status = 'connected', reason = 'open' where company_no = $1 and number_no = $2",
      [fence.companyNo, fence.numberNo],
    );
    await writer.query("commit");
    assert.ok((await raising) >= 1);

    // What the new owner reads now is what the old one wrote, and nothing comes after it.
    const { rows: seen } = await world.superuser.query<{ status: string }>(
      "select status from numbers where number_no = $1",
      [fence.numberNo],
    );
    assert.equal(seen[0]?.status, "connected");
    const creds = Buffer.from("stale");
    await assert.rejects(writeAuth(world.worker, keyring, fence, { creds }), FencedError);
    await assert.rejects(
      fencedTransaction(world.worker, fence, async () => undefined),
      FencedError,
    );
    await assert.rejects(readAuth(world.worker, keyring, fence), FencedError);
    const fresh = { ...fence, epoch: fence.epoch + 1 };
    assert.equal((await readAuth(world.worker, keyring, fresh)).creds, undefined);
  });

  test("a writer that waits behind the take-over is fenced when it gets through", async () => {
    const { fence } = await ownedNumber(world);
    await using taker = await connectWorker();
    await taker.query("begin");
    await taker.query("update number_fence set epoch = epoch + 1 where number_no = $1", [
      fence.numberNo,
    ]);
    const writing = writeAuth(world.worker, world.test.keyring, fence, {
      creds: Buffer.from("late"),
    });
    const outcome = assert.rejects(writing, FencedError);
    await isWaiting("test");
    await taker.query("commit");
    await outcome;
    const { rowCount } = await world.superuser.query(
      "select from auth_creds where number_no = $1",
      [fence.numberNo],
    );
    assert.equal(rowCount, 0);
  });

  test("checking with exists() instead would let the stale write land: this test can fail", async () => {
    const { fence } = await ownedNumber(world);
    await world.superuser.query(
      "create table if not exists naive_state (number_no int primary key, value text)",
    );
    const writer = new Client({ connectionString: world.test.superuserUrl });
    await writer.connect();
    try {
      await writer.query("begin");
      // The whole check and write of the naive variant, in flight: not committed yet.
      const { rowCount } = await writer.query(
        `insert into naive_state select $1, 'stale'
          where exists (select 1 from number_fence where number_no = $1 and epoch = $2)`,
        [fence.numberNo, fence.epoch],
      );
      assert.equal(rowCount, 1);
      const startedAt = performance.now();
      await raiseFences(world.worker, await shardOf(fence), fence.epoch + 1);
      assert.ok(performance.now() - startedAt < 1_000, "nothing makes the take-over wait");
      const readByNewOwner = await world.superuser.query(
        "select from naive_state where number_no = $1",
        [fence.numberNo],
      );
      assert.equal(readByNewOwner.rowCount, 0);
      await writer.query("commit");
      const afterwards = await world.superuser.query(
        "select from naive_state where number_no = $1",
        [fence.numberNo],
      );
      assert.equal(afterwards.rowCount, 1, "the write of the old epoch landed after the new read");
    } finally {
      await writer.end();
    }
  });

  test("one stuck writer delays its own number only, and Postgres ends it", async () => {
    const first = await ownedNumber(world);
    const second = await ownedNumber(world);
    assert.equal(await shardOf(first.fence), await shardOf(second.fence));
    await using stuck = await connectWorker();
    stuck.on("error", () => undefined);
    // The real limit is 5 s; a shorter one keeps the test short.
    await stuck.query("set idle_in_transaction_session_timeout = '700ms'");
    await stuck.query("begin");
    await stuck.query("select hold_fence($1, $2, $3)", [
      first.fence.companyNo,
      first.fence.numberNo,
      first.fence.epoch,
    ]);
    const epoch = first.fence.epoch + 50;
    const raising = raiseFences(world.worker, await shardOf(first.fence), epoch);
    await until(async () => {
      const { rows } = await world.superuser.query<{ epoch: string }>(
        "select epoch from number_fence where number_no = $1",
        [second.fence.numberNo],
      );
      return Number(rows[0]?.epoch) === epoch;
    });
    const { rows } = await world.superuser.query<{ epoch: string }>(
      "select epoch from number_fence where number_no = $1",
      [first.fence.numberNo],
    );
    assert.equal(Number(rows[0]?.epoch), first.fence.epoch);
    await raising;
  });

  test("each role has its limit for idle transactions", async () => {
    const { rows } = await world.superuser.query<{ rolname: string; rolconfig: string[] }>(
      "select rolname, rolconfig from pg_roles where rolname like 'manyline\\_%' and rolname <> 'manyline_owner'",
    );
    assert.equal(rows.length, 6);
    for (const { rolname, rolconfig } of rows) {
      assert.match(String(rolconfig), /idle_in_transaction_session_timeout=\d+ms/, rolname);
    }
  });
});

describe("many writers and take-overs at once", () => {
  test("no write of an older epoch lands after one of a newer", async () => {
    const { fence, number } = await ownedNumber(world);
    const shardId = await shardOf(fence);
    const { keyring } = world.test;
    const worker = world.open("worker", 12);
    let current = fence.epoch;
    let fenced = 0;
    let written = 0;
    const over = new AbortController();
    const write = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const epoch = current;
        try {
          await writeAuth(
            worker,
            keyring,
            { ...fence, epoch },
            { creds: Buffer.from(String(epoch)) },
          );
          written += 1;
        } catch (error) {
          if (!(error instanceof FencedError)) throw error;
          fenced += 1;
        }
      }
    };
    const writers = Array.from({ length: 6 }, write);
    for (let round = 0; round < 25; round += 1) {
      const next = current + 1;
      await raiseFences(world.worker, shardId, next);
      const mine = { ...fence, epoch: next };
      const first = (await readAuth(world.worker, keyring, mine)).creds?.toString();
      const soFar = fenced;
      await until(() => fenced > soFar, { label: "a stale writer's try" });
      const again = (await readAuth(world.worker, keyring, mine)).creds?.toString();
      assert.equal(again, first, "a stale write landed after the new owner read");
      current = next;
      const done = written;
      await until(() => written > done, { label: "a write of the new epoch" });
    }
    over.abort();
    await Promise.all(writers);
    assert.ok(written > 20 && fenced > 0, `written ${written}, fenced ${fenced}`);
    assert.equal(number.numberNo, fence.numberNo);
  });
});

describe("what a held fence opens", () => {
  test("writes for another number are refused by row security, with and without a fence", async () => {
    const mine = await ownedNumber(world);
    const other = await ownedNumber(world);
    const change = { status: "error", reason: "locked", since: new Date() } as const;
    await assert.rejects(
      fencedTransaction(world.worker, mine.fence, (tx) => setNumberStatus(tx, other.fence, change)),
      /outside its fenced transaction/,
    );
    const { rowCount } = await world.superuser.query(
      "select from numbers where number_no = $1 and status = 'error'",
      [other.number.numberNo],
    );
    assert.equal(rowCount, 0);
    const event = {
      natsSubject: "session.error.x.y",
      envelope: {
        specversion: "1.0",
        id: "evt_1",
        source: "manyline/test",
        type: "session.error",
        subject: "x/y",
        time: new Date().toISOString(),
        datacontenttype: "application/json",
        dataschema: "manyline:session.error:v1",
        companyid: "x",
        data: {},
      } as const,
    };
    const append = (companyNo: number, numberNo: number | null) =>
      fencedTransaction(world.worker, mine.fence, (tx) =>
        appendEvents(tx, [{ companyNo, numberNo, event }]),
      );
    await assert.rejects(append(other.company.companyNo, null), /row-level security/);
    await assert.rejects(
      append(mine.company.companyNo, other.number.numberNo),
      /row-level security/,
    );
    assert.equal((await append(mine.company.companyNo, mine.number.numberNo)).length, 1);
    assert.equal((await append(mine.company.companyNo, null)).length, 1);
  });

  test("the fence ends with its transaction", async () => {
    const { fence } = await ownedNumber(world);
    const single = world.open("worker", 1);
    await fencedTransaction(single, fence, async () => undefined);
    const change = { status: "error", reason: "locked", since: new Date() } as const;
    await assert.rejects(
      single.transaction().execute((tx) => setNumberStatus(tx, fence, change)),
      /outside its fenced transaction/,
    );
  });

  test("a removed number is fenced out", async () => {
    const { fence, number } = await ownedNumber(world);
    await world.superuser.query("delete from numbers where number_no = $1", [number.numberNo]);
    await assert.rejects(
      writeAuth(world.worker, world.test.keyring, fence, { creds: Buffer.from("x") }),
      FencedError,
    );
  });
});
