/** What holds messages back, and what ends them: no connection, restrictions, refusals, their time, the pace. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { openDatabase } from "@manyline/db";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { allTold, contact, linked, toldOf, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, sendStates, toldOfSend, untilSend, type Queued } from "./sending.ts";

let room: Room;
before(async () => {
  room = await openRoom({
    env: { SENDS_PER_SECOND: "4", SEND_BURST: "4", FIRST_CONTACTS_PER_DAY: "5" },
  });
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

const errorOf = async (one: Linked, queued: Queued): Promise<string> => {
  const { data } = await untilSend(room, one, queued, "message.failed");
  return (data["error"] as { code: string }).code;
};

const restrictionsTold = async (one: Linked): Promise<(Record<string, unknown> | null)[]> =>
  (await allTold(room, one))
    .filter(({ type }) => type === "number.restricted")
    .map(({ data }) => data["restriction"] as Record<string, unknown> | null);

/** When a message that is held may go. */
async function heldUntil({ messageId }: Queued): Promise<Date | null> {
  await using db = openDatabase({ url: room.database.superuserUrl, applicationName: "test" });
  const row = await db
    .selectFrom("messages")
    .select(["sendAfter", "state"])
    .where("messageId", "=", messageId)
    .executeTakeFirstOrThrow();
  return row.state === "queued" ? row.sendAfter : null;
}

describe("without a connection", () => {
  it("messages wait, nothing is opened for them, and they go in order once there is one", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    await room.changeNumber(one.number, { desiredState: "disconnected" });
    await until(async () => (await room.status(one.number)).number.status === "disconnected", {
      label: "disconnected",
    });
    const { logins } = room.simulator.server.stats;
    const queued: Queued[] = [];
    for (let nth = 0; nth < 4; nth += 1) {
      queued.push(await enqueue(room, one, { phone: ann.phone }, { text: `${nth}` }));
    }
    const brief = await enqueue(room, one, { phone: room.phone() }, { lifeSeconds: 1 });
    const expired = await untilSend(room, one, brief, "message.expired");
    assert.equal(expired.data["error"], null);
    assert.equal(room.simulator.server.stats.logins, logins);
    assert.deepEqual(await sendStates(room, one), { queued: 4, expired: 1 });
    await room.changeNumber(one.number, { desiredState: "connected" });
    for (const each of queued) await untilSend(room, one, each, "message.delivered");
    assert.deepEqual(
      ann.messages.received.map(({ id, copies }) => [id, copies]),
      queued.map(({ providerMessageId }) => [providerMessageId, 1]),
    );
  });
});

describe("a number that lost its connection for good", () => {
  it("says of what was under way that nobody knows, in its time", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    applyFault(room.simulator.server, { kind: "lose-message", phone: one.phone });
    const lost = await enqueue(room, one, { phone: ann.phone }, { lifeSeconds: 4 });
    const { messagesIn } = room.simulator.server.stats;
    await until(() => room.simulator.server.stats.messagesIn > messagesIn, {
      label: "on the wire",
    });
    await room.changeNumber(one.number, { desiredState: "disconnected" });
    await untilSend(room, one, lost, "message.unknown", 15_000);
    room.simulator.server.faults.clear();
  });
});

describe("a restriction", () => {
  it("that a refusal shows holds new chats, says until when, and lets the others pass", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", written.id);
    // Asked before the restriction began: the answer still counts, so the message itself meets it.
    const early = await enqueue(room, one, { phone: room.phone() });
    await untilSend(room, one, early, "message.sent");
    const lock = { kind: "timelock", phone: one.phone } as const;
    applyFault(room.simulator.server, { ...lock, args: { seconds: 600, push: false } });
    const cold = contact(room, "Cold");
    const held = await enqueue(room, one, { phone: cold.phone });
    const restriction = await until(async () => (await restrictionsTold(one))[0], {
      label: "restricted",
    });
    assert.equal(restriction["code"], "new_chats");
    const end = new Date(String(restriction["until"])).getTime();
    assert.ok(end > Date.now() + 500_000 && end < Date.now() + 700_000);
    const goesAt = await until(() => heldUntil(held), { label: "held" });
    assert.ok(goesAt.getTime() >= end, "not before its end");
    assert.equal((await room.status(one.number)).number.status, "connected");
    // The next one is held without asking WhatsApp: a try would make it longer.
    const { messagesIn } = room.simulator.server.stats;
    const next = await enqueue(room, one, { phone: room.phone() });
    await until(() => heldUntil(next), { label: "the next one held" });
    assert.equal(room.simulator.server.stats.messagesIn, messagesIn);
    const reply = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, reply, "message.delivered");
    // WhatsApp lifts it: what was held goes at once.
    applyFault(room.simulator.server, { ...lock, args: { active: false } });
    await untilSend(room, one, held, "message.delivered");
    assert.equal((await restrictionsTold(one)).at(-1), null);
    assert.deepEqual(
      cold.messages.received.map(({ id, copies }) => [id, copies]),
      [[held.providerMessageId, 1]],
    );
  });

  it("without one, a refusal fails the message and is not tried again", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", written.id);
    for (const [error, code] of [
      [463, "RECIPIENT_UNREACHABLE"],
      [403, "NOT_ALLOWED"],
      [404, "RECIPIENT_UNKNOWN"],
      [406, "NOT_ACCEPTED"],
    ] as const) {
      const fault = { kind: "refuse-message", phone: one.phone, times: 1 } as const;
      applyFault(room.simulator.server, { ...fault, args: { error, to: ann.phone } });
      const queued = await enqueue(room, one, { phone: ann.phone }, { text: String(error) });
      assert.equal(await errorOf(one, queued), code);
    }
    assert.deepEqual(await restrictionsTold(one), []);
    // 479 may be an old address: once more.
    applyFault(room.simulator.server, {
      kind: "refuse-message",
      phone: one.phone,
      times: 1,
      args: { error: 479, to: ann.phone },
    });
    const again = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, again, "message.delivered");
    assert.deepEqual(
      ann.messages.received.map(({ id }) => id),
      [again.providerMessageId],
    );
  });

  it("told by a 403 to a person: the message is held until its end", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", written.id);
    const lock = { kind: "timelock", phone: one.phone } as const;
    applyFault(room.simulator.server, { ...lock, args: { seconds: 600, push: false } });
    applyFault(room.simulator.server, {
      kind: "refuse-message",
      phone: one.phone,
      times: 1,
      args: { error: 403, to: ann.phone },
    });
    const held = await enqueue(room, one, { phone: ann.phone });
    await until(() => heldUntil(held), { label: "held" });
    assert.equal((await restrictionsTold(one))[0]?.["code"], "new_chats");
    applyFault(room.simulator.server, { ...lock, args: { active: false } });
    await untilSend(room, one, held, "message.delivered");
  });

  it("too fast: everything of the number waits", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    applyFault(room.simulator.server, {
      kind: "refuse-message",
      phone: one.phone,
      times: 1,
      args: { error: 429, to: ann.phone },
    });
    const queued = await enqueue(room, one, { phone: ann.phone });
    const restriction = await until(async () => (await restrictionsTold(one))[0], {
      label: "restricted",
    });
    assert.equal(restriction["code"], "slow_down");
    await until(() => heldUntil(queued), { label: "held" });
    const other = await enqueue(room, one, { phone: room.phone() });
    assert.deepEqual(
      (await toldOfSend(room, one, other)).map(({ type }) => type),
      ["message.queued"],
    );
  });
});

describe("the pace", () => {
  it("a burst, then so many a second; replies before others, bulk last; order within each", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", written.id);
    const bo = contact(room, "Bo");
    const greeting = await bo.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", greeting.id);
    await room.changeNumber(one.number, { desiredState: "disconnected" });
    await until(async () => (await room.status(one.number)).number.status === "disconnected", {
      label: "disconnected",
    });
    const bulk: Queued[] = [];
    for (let nth = 0; nth < 8; nth += 1) {
      bulk.push(await enqueue(room, one, { phone: bo.phone }, { isBulk: true }));
    }
    const replies: Queued[] = [];
    for (let nth = 0; nth < 8; nth += 1) {
      replies.push(await enqueue(room, one, { phone: ann.phone }));
    }
    await room.changeNumber(one.number, { desiredState: "connected" });
    for (const each of [...replies, ...bulk]) {
      await untilSend(room, one, each, "message.sent", 15_000);
    }
    const sentAt = async (each: Queued): Promise<number> => {
      const event = await untilSend(room, one, each, "message.sent");
      return new Date(event.time).getTime();
    };
    const times = (await Promise.all([...replies, ...bulk].map(sentAt))).toSorted((a, b) => a - b);
    const tookMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
    // 16 messages: 4 at once, 12 at 4 a second.
    assert.ok(tookMs >= 2_500, `too fast: ${tookMs} ms`);
    const lastReply = Math.max(...(await Promise.all(replies.map(sentAt))));
    const bulkBefore = (await Promise.all(bulk.map(sentAt))).filter((at) => at < lastReply);
    assert.ok(bulkBefore.length <= 4, `${bulkBefore.length} of the bulk went before a reply`);
    for (const [person, queued] of [
      [ann, replies],
      [bo, bulk],
    ] as const) {
      assert.deepEqual(
        person.messages.received.map(({ id }) => id),
        queued.map(({ providerMessageId }) => providerMessageId),
      );
    }
  });

  it("so many first contacts a day; the rest waits till tomorrow, people who wrote do not", async () => {
    const one = await linked(room);
    const first: Queued[] = [];
    for (let nth = 0; nth < 6; nth += 1) {
      first.push(await enqueue(room, one, { phone: room.phone() }));
    }
    const hold = await until(
      async () => (await Promise.all(first.map(heldUntil))).find((each) => each !== null),
      { label: "one held" },
    );
    await until(async () => (await sendStates(room, one))["delivered"] === 5, {
      label: "five delivered",
    });
    const inMs = hold.getTime() - Date.now();
    assert.ok(inMs > 86_000_000 && inMs < 86_500_000, String(inMs));
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", written.id);
    const reply = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, reply, "message.delivered");
  });
});
