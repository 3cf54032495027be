/**
 * What is sent arrives once, in order, whatever happens to the worker, its connection, its database and who owns
 * the number. A message whose fate is unknown is sent once more with the same id; that phones drop a repeated id
 * is an assumption of the simulator as well, so repeats are counted here. CHAOS_ROUNDS: how many workers are
 * ended, default 4.
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { after, before, describe, it, type TestContext } from "node:test";
import { openDatabase } from "@manyline/db";
import { applyFault, type PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, linked, toldOfMessages, type Linked } from "./conversations.ts";
import { killWorker, openRoom, stopWorker, type Room } from "./room.ts";
import { enqueue, sendStates, toldOfSend, untilSend, type Queued } from "./sending.ts";

const ROUNDS = Number(process.env["CHAOS_ROUNDS"] ?? 4);
const NAMES = ["Ann", "Bo", "Cleo", "Dan"];

let room: Room;
before(async () => {
  room = await openRoom({
    ownPostgres: true,
    env: { SENDS_PER_SECOND: "100", SEND_BURST: "100" },
  });
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

/** One number writes to one person. */
type Talk = { one: Linked; name: string; messages: PhoneMessages; phone: string; queued: Queued[] };

function talks(numbers: readonly Linked[]): Talk[] {
  return numbers.flatMap((one) =>
    NAMES.map((name): Talk => {
      const { phone, messages } = contact(room, name);
      return { one, name, phone, messages, queued: [] };
    }),
  );
}

/** Puts `count` messages into the queue, to all of them in turn. */
async function write(all: readonly Talk[], count: number, pauseMs = 0): Promise<void> {
  for (let nth = 0; nth < count; nth += 1) {
    const talk = all[nth % all.length];
    assert.ok(talk);
    const { one, phone, queued } = talk;
    queued.push(await enqueue(room, one, { phone }, { text: `${nth}` }));
    if (pauseMs > 0) await delay(pauseMs);
  }
}

/** Each arrived once, in order, with the id that was chosen, and each was told as sent once. Returns repeats. */
async function judge(all: readonly Talk[], deadlineMs: number): Promise<number> {
  let repeats = 0;
  for (const { messages, queued, name } of all) {
    await until(() => messages.received.length >= queued.length, {
      label: `all of ${name}: ${queued.length}`,
      deadlineMs,
    });
    assert.deepEqual(
      messages.received.map(({ id }) => id),
      queued.map(({ providerMessageId }) => providerMessageId),
      name,
    );
    for (const { copies } of messages.received) repeats += copies - 1;
  }
  for (const one of new Set(all.map((talk) => talk.one))) {
    const mine = all.filter((talk) => talk.one === one).flatMap(({ queued }) => queued);
    await until(
      async () => {
        const { queued = 0, sending = 0, unknown = 0 } = await sendStates(room, one);
        return queued + sending + unknown === 0;
      },
      { label: "all are settled", deadlineMs },
    );
    const sent = (await toldOfMessages(room, one)).filter(({ type }) => type === "message.sent");
    assert.deepEqual(
      sent.map(({ data }) => String(data["messageId"])).toSorted(),
      mine.map(({ messageId }) => messageId).toSorted(),
      "told as sent",
    );
  }
  return repeats;
}

const connected = (numbers: readonly Linked[]): Promise<true> =>
  until(
    async () => {
      const all = await Promise.all(numbers.map(({ number }) => room.status(number)));
      return all.every(({ hasOwner, number }) => hasOwner && number.status === "connected");
    },
    { label: "all connected", deadlineMs: 40_000, intervalMs: 100 },
  );

describe("a connection that breaks", () => {
  it("before the answer: the message is repeated with its id, once it is open again", async () => {
    const one = await linked(room);
    for (const deliver of [true, false]) {
      const ann = contact(room, "Ann");
      applyFault(room.simulator.server, {
        kind: "lose-message",
        phone: one.phone,
        times: 1,
        args: { to: ann.phone, deliver, cut: true },
      });
      const queued = await enqueue(room, one, { phone: ann.phone });
      await untilSend(room, one, queued, "message.delivered", 20_000);
      assert.deepEqual(
        ann.messages.received.map(({ id }) => id),
        [queued.providerMessageId],
      );
      const told = await toldOfSend(room, one, queued);
      assert.equal(told.filter(({ type }) => type === "message.sent").length, 1);
    }
  });

  it("an answer that never comes: the message is repeated over the same connection", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    applyFault(room.simulator.server, {
      kind: "lose-message",
      phone: one.phone,
      times: 1,
      args: { to: ann.phone, deliver: false },
    });
    const { logins } = room.simulator.server.stats;
    const queued = await enqueue(room, one, { phone: ann.phone });
    const next = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, next, "message.delivered", 30_000);
    assert.deepEqual(
      ann.messages.received.map(({ id }) => id),
      [queued.providerMessageId, next.providerMessageId],
    );
    assert.equal(room.simulator.server.stats.logins, logins);
  });

  it("a receipt says as much as the answer that was lost", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    applyFault(room.simulator.server, {
      kind: "lose-message",
      phone: one.phone,
      times: 1,
      args: { to: ann.phone, deliver: true },
    });
    const queued = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, queued, "message.delivered");
    const told = await toldOfSend(room, one, queued);
    assert.deepEqual(
      told.map(({ type }) => type),
      ["message.queued", "message.sent", "message.delivered"],
    );
    assert.equal(ann.messages.received[0]?.copies, 1);
  });
});

describe("a claim that its owner does not know of", () => {
  it("is not left alone until it expires", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    await room.changeNumber(one.number, { desiredState: "disconnected" });
    await until(async () => (await room.status(one.number)).number.status === "disconnected", {
      label: "disconnected",
    });
    const queued = await enqueue(room, one, { phone: ann.phone });
    await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
    const { epoch } = await db
      .selectFrom("numberFence")
      .select("epoch")
      .where("numberNo", "=", one.number.numberNo)
      .executeTakeFirstOrThrow();
    await db
      .updateTable("messages")
      .set({ state: "sending", claimedEpoch: epoch, attempts: 1 })
      .where("messageId", "=", queued.messageId)
      .execute();
    await room.changeNumber(one.number, { desiredState: "connected" });
    await untilSend(room, one, queued, "message.delivered", 20_000);
    assert.equal(ann.messages.received[0]?.copies, 1);
  });

  it("of a worker that was killed in the middle of it: its successor repeats it with its id", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    room.simulator.server.phone(ann.phone).account.overrides = { deliveryReceipts: false };
    const copies: number[] = [];
    for (const deliver of [false, true]) {
      applyFault(room.simulator.server, {
        kind: "lose-message",
        phone: one.phone,
        times: 1,
        args: { to: ann.phone, deliver },
      });
      const { messagesIn } = room.simulator.server.stats;
      const queued = await enqueue(room, one, { phone: ann.phone });
      await until(() => room.simulator.server.stats.messagesIn > messagesIn, {
        label: "on the way",
      });
      await killWorker(room.worker);
      await room.startWorker();
      await untilSend(room, one, queued, "message.sent", 40_000);
      const got = ann.messages.received.filter(({ id }) => id === queued.providerMessageId);
      copies.push(...got.map((each) => each.copies));
    }
    assert.deepEqual(copies, [1, 2]);
  });
});

describe("nothing is lost or out of order", () => {
  it("while Postgres goes away and comes back", async (t: TestContext) => {
    const numbers = [await linked(room), await linked(room)];
    const all = talks(numbers);
    await write(all, 64);
    await delay(200);
    await room.postgres?.stop();
    await delay(3_000);
    await room.postgres?.start();
    await connected(numbers);
    t.diagnostic(`64 messages, ${await judge(all, 40_000)} repeated`);
  });

  it("while the worker is killed at random: 100 messages", async (t: TestContext) => {
    const one = await linked(room);
    const all = talks([one]);
    const writing = write(all, 100, 30);
    for (let round = 0; round < ROUNDS; round += 1) {
      await delay(200 + 800 * Math.random());
      await killWorker(room.worker);
      await room.startWorker();
      await connected([one]);
    }
    await writing;
    t.diagnostic(`100 messages, ${ROUNDS} kills, ${await judge(all, 40_000)} repeated`);
    assert.equal(room.simulator.server.record.summary({}).lateStanzas, 0);
  });

  it("while numbers move between workers", async (t: TestContext) => {
    const numbers = [await linked(room), await linked(room)];
    const all = talks(numbers);
    let workers = [room.worker, await room.spawn()];
    const writing = write(all, 120, 40);
    for (let round = 0; round < ROUNDS; round += 1) {
      const victim = workers[0];
      assert.ok(victim);
      const successor = await room.spawn();
      await stopWorker(victim);
      workers = [...workers.slice(1), successor];
      await connected(numbers);
    }
    await writing;
    t.diagnostic(`120 messages, ${ROUNDS} hand-overs, ${await judge(all, 40_000)} repeated`);
    assert.equal(room.simulator.server.record.summary({}).lateStanzas, 0);
  });
});
