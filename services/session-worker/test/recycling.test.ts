/** Connections that are replaced by fresh ones, because of their age or their silence, while people write. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it } from "node:test";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import {
  assertAllOnce,
  contact,
  linked,
  toldOfMessages,
  untilTold,
  type Linked,
} from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend } from "./sending.ts";

let room: Room;
const open = async (env: Record<string, string>): Promise<void> => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50", ...env } });
};
const close = async (): Promise<void> => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  assert.equal(room.simulator.server.record.summary({}).lateStanzas, 0);
  await room.close();
};

/** Lines of the worker's log. */
async function logged(): Promise<Record<string, unknown>[]> {
  const lines = (await readFile(room.log, "utf8")).split("\n").filter(Boolean);
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** What the worker tells of itself in numbers. */
async function metrics(): Promise<string> {
  const started = (await logged()).findLast(({ event }) => event === "worker.started");
  const answer = await fetch(`http://127.0.0.1:${String(started?.["health_port"])}/metrics`);
  return answer.text();
}

/** Why connections of the number were replaced so far, as the worker's log tells. */
async function recycled({ number }: Linked): Promise<string[]> {
  return (await logged())
    .filter(({ event, ...line }) => {
      return event === "connection.recycled" && line["number_id"] === number.numberId;
    })
    .map(({ reason }) => String(reason));
}

const connected = (one: Linked): Promise<true> =>
  until(async () => (await room.status(one.number)).number.status === "connected", {
    label: "connected",
  });

describe("an old connection", () => {
  before(() => open({ RECYCLE_AFTER_MS: "4000" }));
  after(close);

  it("is replaced again and again; nothing that people write is lost, told twice or asked for again", async () => {
    const numbers = await Promise.all([linked(room), linked(room), linked(room)]);
    const people = numbers.map((one) => ({ one, ann: contact(room, "Ann"), ids: [] as string[] }));
    const sends: { one: Linked; queued: Awaited<ReturnType<typeof enqueue>> }[] = [];
    const { stats } = room.simulator.server;
    const { clientRetries } = stats;
    const isEnough = async (): Promise<boolean> =>
      (await Promise.all(numbers.map(recycled))).every((all) => all.length >= 2);
    for (const deadline = Date.now() + 60_000; !(await isEnough());) {
      assert.ok(Date.now() < deadline, "recycled twice");
      for (const { one, ann, ids } of people) {
        ids.push((await ann.messages.sendText(one.phone, `${ids.length}`)).id);
        sends.push({ one, queued: await enqueue(room, one, { phone: ann.phone }) });
      }
      // Pauses long enough to be a quiet moment, now and then.
      await delay(100 + 1_500 * Math.random());
    }
    for (const { one, queued } of sends) await untilSend(room, one, queued, "message.delivered");
    for (const { one, ann, ids } of people) {
      await connected(one);
      await until(
        async () =>
          (await toldOfMessages(room, one)).filter(({ type }) => type === "message.received")
            .length >= ids.length,
        { label: "all told" },
      );
      const told = await toldOfMessages(room, one);
      const received = told.filter(({ type }) => type === "message.received");
      assert.deepEqual(
        received.map(({ data }) => data["providerMessageId"]),
        ids,
      );
      assert.ok(ann.messages.received.every(({ copies }) => copies === 1));
      assert.deepEqual(new Set(await recycled(one)), new Set(["age"]));
    }
    assert.equal(stats.clientRetries, clientRetries);
    const told = await metrics();
    assert.match(told, /^manyline_worker_sockets_recycled_total\{.*reason="age".*\} [1-9]/m);
    assert.match(told, /^manyline_worker_cache_entries\{.*cache="mappings".*\} [1-9]/m);
    assert.match(told, /^manyline_worker_key_cache_bytes(\{.*\})? [1-9]/m);
    assert.match(told, /^process_memory_bytes\{.*kind="heap_used".*\} [1-9]/m);
  });

  it("stays as long as something is under way over it", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const { server } = room.simulator;
    server.phone(ann.phone).account.overrides = { deliveryReceipts: false };
    const args = { to: ann.phone, deliver: true };
    applyFault(server, { kind: "lose-message", phone: one.phone, times: 1, args });
    const { messagesIn } = server.stats;
    const sofar = (await recycled(one)).length;
    const queued = await enqueue(room, one, { phone: ann.phone });
    await until(() => server.stats.messagesIn > messagesIn, { label: "on its way" });
    // Three times what a connection lives; the answer is waited for much longer.
    await delay(12_000);
    assert.equal((await recycled(one)).length, sofar);
    await untilSend(room, one, queued, "message.sent", 30_000);
    await until(async () => (await recycled(one)).length > sofar, {
      label: "recycled",
      deadlineMs: 20_000,
    });
  });
});

describe("a deaf connection", () => {
  before(() => open({ WA_SILENCE_MS: "3000" }));
  after(close);

  it("is found out by its silence, and what was written meanwhile comes", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const ids: string[] = [];
    for (let nth = 0; nth < 12; nth += 1) {
      ids.push((await ann.messages.sendText(one.phone, `${nth}`)).id);
      await delay(30);
    }
    await untilTold(room, one, ids.length);
    const [device] = room.simulator.server.account(one.phone).devices.values();
    const deaf = device?.connection;
    assert.ok(deaf);
    // Open, its pings answered, but no message comes any more.
    const send = deaf.send.bind(deaf);
    deaf.send = (stanza) => {
      if (stanza.tag !== "message") send(stanza);
    };
    ids.push((await ann.messages.sendText(one.phone, "are you there?")).id);
    await until(async () => (await recycled(one)).length > 0, {
      label: "recycled",
      deadlineMs: 15_000,
    });
    assert.deepEqual(await recycled(one), ["silence"]);
    const told = await untilTold(room, one, ids.length);
    assertAllOnce(told, new Map([["Ann", ids]]));
  });

  it("is not suspected where hardly anything ever comes", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const { id } = await ann.messages.sendText(one.phone, "hello");
    assertAllOnce(await untilTold(room, one, 1), new Map([["Ann", [id]]]));
    await delay(8_000);
    assert.deepEqual(await recycled(one), []);
  });
});
