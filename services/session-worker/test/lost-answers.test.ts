/**
 * What Postgres has committed while its answer got lost: the worker is still the owner and does not know what it has
 * claimed, or received. It finds out, and does it, or tells of it, once.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { applyFault } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, toldOfSend, untilSend, type Queued } from "./sending.ts";

let room: Room;
let one: Linked;
before(async () => {
  room = await openRoom({
    proxiedPostgres: true,
    env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" },
  });
  one = await linked(room);
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

const loseAnswer = (text: string, how: "cut" | "silence"): Promise<void> => {
  assert.ok(room.proxy);
  return room.proxy.loseAnswer(text, how);
};

/** A silent connection is given up after 12 s, and what was claimed over it is looked for with the next look. */
const DEADLINES = { cut: 10_000, silence: 25_000 };

for (const how of ["cut", "silence"] as const) {
  describe(`an answer that is lost (${how})`, () => {
    it("to a claim of messages: all go out, with their ids, in order, once", async () => {
      const people = [contact(room, "Ann"), contact(room, "Bo")];
      // Known people: nothing but the claim and the result is asked of Postgres.
      for (const { phone } of people) {
        await untilSend(room, one, await enqueue(room, one, { phone }), "message.delivered");
      }
      const lost = loseAnswer("claim_sends(", how);
      const queued: Queued[] = [];
      for (const text of ["1", "2"]) {
        for (const { phone } of people) queued.push(await enqueue(room, one, { phone }, { text }));
      }
      await lost;
      for (const each of queued) {
        await untilSend(room, one, each, "message.delivered", DEADLINES[how]);
      }
      for (const [place, { messages }] of people.entries()) {
        const mine = queued.filter((_, index) => index % people.length === place);
        const got = messages.received.slice(1);
        assert.deepEqual(
          got.map(({ id, text, copies }) => [id, text, copies]),
          mine.map(({ providerMessageId }, index) => [providerMessageId, `${index + 1}`, 1]),
        );
      }
      for (const each of queued) {
        const types = (await toldOfSend(room, one, each)).map(({ type }) => type);
        assert.deepEqual(types, ["message.queued", "message.sent", "message.delivered"]);
      }
    });

    it("to the journal of what came in: it is told once, before what came after it", async () => {
      const ann = contact(room, "Ann");
      const { id: first } = await ann.messages.sendText(one.phone, "0");
      await toldOf(room, one, "message.received", first);
      const mine = async () =>
        (await toldOfMessages(room, one)).filter(
          ({ type, data }) =>
            type === "message.received" && ids.includes(String(data["providerMessageId"])),
        );
      const ids: string[] = [];
      const lost = loseAnswer("write_auth_journal(", how);
      for (const text of ["1", "2"]) {
        ids.push((await ann.messages.sendText(one.phone, text)).id);
        await lost;
      }
      await until(async () => (await mine()).length === ids.length, {
        deadlineMs: 2 * DEADLINES[how],
        label: "both told",
      });
      assert.deepEqual(
        (await mine()).map(({ data }) => data["providerMessageId"]),
        ids,
      );
    });

    it("to a claim of commands: the command is done before its deadline, once", async () => {
      const ann = contact(room, "Ann");
      const { stats } = room.simulator.server;
      // The look that finds nothing may come first, and it is its answer that is lost.
      for (let attempts = 1; attempts !== 2;) {
        const { logins } = stats;
        const lost = loseAnswer("claim_commands(", how);
        const command = await room.command(one.number, "reconnect");
        await lost;
        assert.equal(command.state, "done");
        ({ attempts } = command);
        assert.ok(attempts <= 2);
        await until(() => stats.logins > logins, { label: "reconnected" });
        const queued = await enqueue(room, one, { phone: ann.phone });
        await untilSend(room, one, queued, "message.delivered", DEADLINES[how]);
        assert.equal(stats.logins, logins + 1);
      }
    });
  });
}

describe("an answer that is lost", () => {
  it("while others are under way: these are not sent again", async () => {
    const [slow, ann] = [contact(room, "Slow"), contact(room, "Ann")];
    const { server } = room.simulator;
    // Its answer never comes: it is under way for 20 s.
    const { messagesIn } = server.stats;
    server.phone(slow.phone).account.overrides = { deliveryReceipts: false };
    const args = { to: slow.phone, deliver: true };
    applyFault(server, { kind: "lose-message", phone: one.phone, times: 1, args });
    const waiting = await enqueue(room, one, { phone: slow.phone });
    await until(() => server.stats.messagesIn > messagesIn, { label: "on its way" });
    const lost = loseAnswer("claim_sends(", "cut");
    const queued = await enqueue(room, one, { phone: ann.phone });
    await lost;
    await untilSend(room, one, queued, "message.delivered", DEADLINES.cut);
    assert.deepEqual(
      slow.messages.received.map(({ id, copies }) => [id, copies]),
      [[waiting.providerMessageId, 1]],
    );
    assert.equal(ann.messages.received[0]?.copies, 1);
    // Repeated once, by the rule for answers that do not come.
    await untilSend(room, one, waiting, "message.sent", 40_000);
    assert.deepEqual(
      slow.messages.received.map(({ id, copies }) => [id, copies]),
      [[waiting.providerMessageId, 2]],
    );
  });
});
