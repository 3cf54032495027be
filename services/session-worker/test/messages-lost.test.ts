/**
 * Nothing that people write is lost, told twice or out of order, whatever happens to the worker, its database
 * and who owns the number. CHAOS_ROUNDS: how many workers are ended, default 4.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it, type TestContext } from "node:test";
import { listShards, listWorkers } from "@manyline/db";
import { until } from "@manyline/testkit";
import {
  assertAllOnce,
  contact,
  linked,
  openEntries,
  untilNoMore,
  type Linked,
} from "./conversations.ts";
import { killWorker, openRoom, stopWorker, type Room } from "./room.ts";

const ROUNDS = Number(process.env["CHAOS_ROUNDS"] ?? 4);
const NAMES = ["Ann", "Bo", "Cleo"];

let room: Room;
before(async () => {
  room = await openRoom({ ownPostgres: true, env: { WORKER_HOST: "w0" } });
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

type Writers = { sent: Map<Linked, Map<string, string[]>>; stop: () => Promise<number> };

/** Several people write to each of the numbers, without a pause, until they are stopped. */
function write(t: TestContext, numbers: readonly Linked[], pauseMs: number): Writers {
  const sent = new Map(numbers.map((one) => [one, new Map<string, string[]>()]));
  const over = new AbortController();
  let count = 0;
  const all = numbers.flatMap((one) =>
    NAMES.map(async (name) => {
      const { messages } = contact(room, name);
      const ids: string[] = [];
      sent.get(one)?.set(name, ids);
      while (!over.signal.aborted) {
        ids.push((await messages.sendText(one.phone, `${name} ${ids.length}`)).id);
        count += 1;
        await delay(pauseMs * 2 * Math.random());
      }
    }),
  );
  const stop = async (): Promise<number> => {
    over.abort();
    await Promise.all(all);
    return count;
  };
  t.after(() => over.abort());
  return { sent, stop };
}

/** Waits for all of it to be told, then judges: as long as any comes, a slow machine is not the point. */
async function judge(sent: Writers["sent"], silenceMs: number): Promise<void> {
  for (const [one, chats] of sent) {
    const expected = [...chats.values()].flat().length;
    const told = await untilNoMore(room, one, expected, silenceMs);
    const waiting = told.filter(({ type }) => type === "message.waiting");
    assert.deepEqual(waiting, []);
    assertAllOnce(told, chats);
  }
}

const connected = (numbers: readonly Linked[]): Promise<true> =>
  until(
    async () => {
      const all = await Promise.all(numbers.map(({ number }) => room.status(number)));
      return all.every(({ hasOwner, number }) => hasOwner && number.status === "connected");
    },
    { label: "all connected", deadlineMs: 40_000, intervalMs: 100 },
  );

/** The host of the worker that owns the number; undefined: nobody does at the moment. */
async function ownerOf(one: Linked | undefined): Promise<string | undefined> {
  const [shards, workers] = await Promise.all([
    listShards(room.platform),
    listWorkers(room.platform),
  ]);
  const owner = shards.find(({ shardId }) => shardId === one?.number.shardId)?.owner;
  return workers.find(({ workerId }) => workerId === owner)?.host ?? undefined;
}

describe("nothing is lost", () => {
  it("while no worker runs: the backlog comes in order, and what is written meanwhile after it", async (t: TestContext) => {
    const numbers = [await linked(room), await linked(room)];
    await stopWorker(room.worker);
    const writers = write(t, numbers, 20);
    await delay(1_000);
    await room.startWorker();
    await connected(numbers);
    await writers.stop();
    await judge(writers.sent, 15_000);
    assert.equal(room.simulator.server.stats.clientRetries, 0);
  });

  it("while Postgres is away for 10 s: nobody is asked for another copy", async (t: TestContext) => {
    const numbers = [await linked(room), await linked(room)];
    const writers = write(t, numbers, 100);
    await delay(1_000);
    await room.postgres?.stop();
    await delay(10_000);
    await room.postgres?.start();
    await connected(numbers);
    await delay(500);
    const count = await writers.stop();
    await judge(writers.sent, 15_000);
    assert.equal(room.simulator.server.stats.clientRetries, 0);
    t.diagnostic(`${count} messages`);
  });

  it("while workers are killed and stopped at random, and numbers move", async (t: TestContext) => {
    const company = await room.company();
    const numbers = await Promise.all([linked(room, company), linked(room), linked(room)]);
    const workers = new Map([["w0", room.worker]]);
    workers.set("w1", await room.spawn({ WORKER_HOST: "w1" }));
    const writers = write(t, numbers, 500);
    const { stats } = room.simulator.server;
    for (let round = 0; round < ROUNDS; round += 1) {
      await delay(500 + 1_500 * Math.random());
      const host = await until(() => ownerOf(numbers[0]), { label: "an owner" });
      const victim = workers.get(host);
      assert.ok(victim, host);
      workers.delete(host);
      const successor = `w${round + 2}`;
      workers.set(successor, await room.spawn({ WORKER_HOST: successor }));
      const logins = stats.logins;
      await (round % 4 === 3 ? stopWorker(victim) : killWorker(victim));
      await until(() => stats.logins >= logins + numbers.length, {
        label: "another owner",
        deadlineMs: 40_000,
      });
    }
    await delay(500);
    const count = await writers.stop();
    await judge(writers.sent, 30_000);
    t.diagnostic(
      `${count} messages, ${ROUNDS} workers ended, ${room.simulator.server.stats.clientRetries} retries`,
    );
    assert.equal(room.simulator.server.stats.clientRetries, 0);
    const { lateStanzas } = room.simulator.server.record.summary({});
    assert.equal(lateStanzas, 0);
    // What the library was given for itself is settled half a minute later.
    await until(async () => (await openEntries(room)) === 0, {
      label: "an empty journal",
      deadlineMs: 45_000,
      intervalMs: 500,
    });
  });
});
