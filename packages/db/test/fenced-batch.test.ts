import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { until } from "@manyline/testkit";
import { sql } from "kysely";
import {
  appendEvents,
  type Fence,
  fencedBatch,
  fencedTransaction,
  raiseFences,
  setHealth,
  setHealths,
  setNumberStatus,
  setNumberStatuses,
  touchSeen,
  writeAuth,
} from "../src/index.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const CONNECTED = { status: "connected", reason: "open", since: new Date() } as const;

async function ownedFences(count: number): Promise<Fence[]> {
  const fences: Fence[] = [];
  for (let number = 0; number < count; number += 1) fences.push((await ownedNumber(world)).fence);
  return fences;
}

async function statusOf(numberNo: number): Promise<string | undefined> {
  const { rows } = await world.superuser.query<{ status: string }>(
    "select status from numbers where number_no = $1",
    [numberNo],
  );
  return rows[0]?.status;
}

async function setFence({ numberNo }: Fence, epoch: number): Promise<void> {
  await world.superuser.query("update number_fence set epoch = $2 where number_no = $1", [
    numberNo,
    epoch,
  ]);
}

function eventOf(companyId: string, id: string) {
  return {
    natsSubject: `session.connected.${companyId}.x`,
    envelope: {
      specversion: "1.0" as const,
      id,
      source: "manyline/test",
      type: "session.connected",
      subject: `${companyId}/x`,
      time: new Date().toISOString(),
      datacontenttype: "application/json" as const,
      dataschema: "manyline:session.connected:v1",
      companyid: companyId,
      data: {},
    },
  };
}

describe("many fences in one transaction", () => {
  test("what is held is written, with health and events; what is fenced is not among it", async () => {
    const fences = await ownedFences(4);
    const [first, fenced, third, gone] = fences;
    assert.ok(first && fenced && third && gone);
    await setFence(fenced, fenced.epoch + 1);
    await world.superuser.query("delete from numbers where number_no = $1", [gone.numberNo]);
    const held = await fencedBatch(world.worker, fences.toReversed(), async (tx, mine) => {
      await setNumberStatuses(
        tx,
        mine.map((fence) => ({ fence, ...CONNECTED, phone: `7900${fence.numberNo}` })),
      );
      await setHealths(
        tx,
        mine.map((fence) => ({
          fence,
          status: "connected",
          reconnectAttempts: 2,
          lastSeenAt: new Date(),
          reconnectMs: 1_234.5,
        })),
      );
      const events = mine.map(({ companyNo, numberNo }) => ({
        companyNo,
        numberNo,
        event: eventOf("x", `evt_${numberNo}`),
      }));
      assert.equal((await appendEvents(tx, events)).length, 2);
      return mine;
    });
    assert.deepEqual(new Set(held), new Set([first, third]));
    assert.deepEqual(
      await Promise.all([first, fenced, third].map(({ numberNo }) => statusOf(numberNo))),
      ["connected", "disconnected", "connected"],
    );
    const { rows } = await world.superuser.query<{ phone: string; ms: number; fresh: boolean }>(
      `select n.phone_e164 as phone, h.last_reconnect_ms as ms, h.last_reconnect_at > now() - interval '1 min' as fresh
        from numbers n join whatsapp_session_health h using (company_no, number_no) where number_no = $1`,
      [first.numberNo],
    );
    assert.deepEqual(rows, [{ phone: `7900${first.numberNo}`, ms: 1_235, fresh: true }]);
  });

  test("none held: the work runs all the same, with nothing", async () => {
    const [fence] = await ownedFences(1);
    assert.ok(fence);
    await setFence(fence, fence.epoch + 1);
    const seen = await fencedBatch(world.worker, [fence], async (_tx, held) => held.length);
    assert.equal(seen, 0);
    assert.equal(await fencedBatch(world.worker, [], async (_tx, held) => held.length), 0);
  });

  test("a number that is not held cannot be written along, nor another company's event", async () => {
    const [mine, also, other] = await ownedFences(3);
    assert.ok(mine && also && other);
    await assert.rejects(
      fencedBatch(world.worker, [mine, also], (tx) =>
        setNumberStatuses(tx, [
          { fence: mine, ...CONNECTED },
          { fence: other, ...CONNECTED },
        ]),
      ),
      /outside its fenced transaction/,
    );
    assert.equal(await statusOf(mine.numberNo), "disconnected");
    const health = { status: "error", reconnectAttempts: 0, lastSeenAt: null } as const;
    await assert.rejects(
      fencedBatch(world.worker, [mine], (tx) => setHealths(tx, [{ fence: other, ...health }])),
      /row-level security/,
    );
    // Both are held, but the number is not of that company.
    const crossed = { companyNo: mine.companyNo, numberNo: also.numberNo };
    await assert.rejects(
      fencedBatch(world.worker, [mine, also], (tx) =>
        appendEvents(tx, [{ ...crossed, event: eventOf("x", "evt_crossed") }]),
      ),
      /row-level security/,
    );
  });

  test("row security does not make a batch read the whole table", async () => {
    const { fence } = await ownedNumber(world);
    const { companyNo } = fence;
    await world.superuser.query(
      `with added as (
        insert into numbers (company_no, number_id, provider)
          select $1, 'num_' || i, 'linked' from generate_series(1, 5000) i returning company_no, number_no
      ) insert into number_fence (company_no, number_no, epoch) select company_no, number_no, $2 from added`,
      [companyNo, fence.epoch],
    );
    await world.superuser.query("analyze numbers");
    const { rows } = await world.superuser.query<{ number_no: number }>(
      "select number_no from numbers where company_no = $1 order by number_no desc limit 100",
      [companyNo],
    );
    const numberNos = rows.map((row) => row.number_no);
    const { epoch } = fence;
    const fences = numberNos.map((numberNo) => ({ companyNo, numberNo, epoch }));
    const plan = await fencedBatch(world.worker, fences, (tx) =>
      sql<{ "QUERY PLAN": string }>`explain update numbers n set reason = w.reason
        from unnest(${numberNos}::int[], ${numberNos.map(() => "open")}::text[]) as w (number_no, reason)
        where n.company_no = ${companyNo} and n.number_no = w.number_no`.execute(tx),
    );
    const text = plan.rows.map((row) => Object.values(row).join()).join("\n");
    assert.match(text, /Index Scan using numbers_\w+ on numbers/);
    assert.doesNotMatch(text, /Seq Scan on numbers/);
    await world.superuser.query("delete from numbers where number_id ~ '^num_[0-9]{1,4}$'");
  });

  test("credentials written along do not end the hold of the others, and nothing outlives the transaction", async () => {
    const [first, second] = await ownedFences(2);
    assert.ok(first && second);
    const single = world.open("worker", 1);
    const creds = Buffer.from("creds");
    await fencedBatch(single, [first, second], async (tx) => {
      await writeAuth(tx, world.test.keyring, second, { creds });
      await setNumberStatus(tx, first, CONNECTED);
    });
    assert.equal(await statusOf(first.numberNo), "connected");
    await assert.rejects(
      single.transaction().execute((tx) => setNumberStatus(tx, first, CONNECTED)),
      /outside its fenced transaction/,
    );
  });
});

describe("batches among others", () => {
  test("a take-over of any of its numbers waits for the batch", async () => {
    const fences = await ownedFences(3);
    const last = fences.at(-1);
    assert.ok(last);
    const shard = await world.superuser.query<{ shard_id: number }>(
      "select shard_id from companies where company_no = $1",
      [last.companyNo],
    );
    const order: string[] = [];
    const locked = Promise.withResolvers<void>();
    const finish = Promise.withResolvers<void>();
    const writing = fencedBatch(world.worker, fences, async (tx, held) => {
      await setNumberStatuses(
        tx,
        held.map((fence) => ({ fence, ...CONNECTED })),
      );
      locked.resolve();
      await finish.promise;
      order.push("written");
    });
    await locked.promise;
    const raising = raiseFences(
      world.worker,
      shard.rows[0]?.shard_id ?? 0,
      Math.max(...fences.map(({ epoch }) => epoch)) + 1,
    ).then((count) => {
      order.push("raised");
      return count;
    });
    await until(
      async () => {
        const { rowCount } = await world.superuser.query(
          `select from pg_stat_activity where datname = $1 and wait_event_type = 'Lock'`,
          [world.test.name],
        );
        return (rowCount ?? 0) > 0;
      },
      { label: "a take-over that waits" },
    );
    assert.deepEqual(order, []);
    finish.resolve();
    await writing;
    assert.ok((await raising) >= 3);
    assert.deepEqual(order, ["written", "raised"]);
    assert.equal(await statusOf(last.numberNo), "connected");
    await fencedBatch(world.worker, fences, async (_tx, held) => {
      assert.deepEqual(held, [], "fenced from now on");
    });
  });

  test("batches with the same numbers in any order, and raisers between them, never deadlock", async () => {
    const fences = await ownedFences(12);
    const deadlocks = async (): Promise<number> => {
      const { rows } = await world.superuser.query<{ deadlocks: string }>(
        "select deadlocks from pg_stat_database where datname = $1",
        [world.test.name],
      );
      return Number(rows[0]?.deadlocks);
    };
    const earlier = await deadlocks();
    const pools = [world.open("worker", 1), world.open("worker", 1), world.open("worker", 1)];
    let tick = 0;
    await Promise.all(
      pools.map(async (db, place) => {
        for (let round = 0; round < 25; round += 1) {
          const order = fences.toSorted((a, b) =>
            place === 0 ? a.numberNo - b.numberNo : b.numberNo - a.numberNo,
          );
          await fencedBatch(db, place === 2 ? order.slice(0, 6) : order, async (tx, held) => {
            tick += 1;
            const since = new Date();
            await setNumberStatuses(
              tx,
              held.map((fence) => ({ fence, status: "connected", reason: "open", since })),
            );
            await setHealths(
              tx,
              held.map((fence) => ({
                fence,
                status: "connected",
                reconnectAttempts: tick,
                lastSeenAt: since,
              })),
            );
          });
        }
      }),
    );
    assert.equal(tick, 75, "a deadlock would have repeated one");
    assert.equal(await deadlocks(), earlier);
  });
});

describe("last seen", () => {
  test("of what holds only, at most once a minute, in one statement", async () => {
    const fences = await ownedFences(3);
    const [first, fenced] = fences;
    assert.ok(first && fenced);
    const long = new Date(Date.now() - 3_600_000);
    for (const fence of fences) {
      await fencedTransaction(world.worker, fence, (tx) =>
        setHealth(tx, fence, { status: "connected", reconnectAttempts: 0, lastSeenAt: long }),
      );
    }
    await setFence(fenced, fenced.epoch + 1);
    assert.equal(await touchSeen(world.worker, fences), 2);
    assert.equal(await touchSeen(world.worker, fences), 0);
    assert.equal(await touchSeen(world.worker, []), 0);
    const { rows } = await world.superuser.query<{ number_no: number; fresh: boolean }>(
      `select number_no, last_seen > now() - interval '1 minute' as fresh
        from whatsapp_session_health where number_no = any ($1) order by number_no`,
      [fences.map(({ numberNo }) => numberNo)],
    );
    assert.deepEqual(
      rows.map(({ fresh }) => fresh),
      [true, false, true],
    );
  });

  test("a health that did not change is not written, a reconnection always is", async () => {
    const [fence] = await ownedFences(1);
    assert.ok(fence);
    const health = { status: "connected", reconnectAttempts: 0, lastSeenAt: null } as const;
    const set = (more: { reconnectMs?: number } = {}) =>
      fencedTransaction(world.worker, fence, (tx) => setHealth(tx, fence, { ...health, ...more }));
    assert.equal(await set(), true);
    assert.equal(await set(), false);
    assert.equal(await set({ reconnectMs: 90 }), true);
    assert.equal(await set({ reconnectMs: 90 }), true);
    assert.equal(await set(), false);
  });
});
