/** People who come back with a new phone, and numbers that write to themselves and to each other. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { applyFault, createGroup } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { assertReceived, enqueue, untilSend } from "./sending.ts";

let room: Room;
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" } });
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

/** Texts that others wrote, in the order told; each message once. */
async function receivedTexts(one: Linked): Promise<unknown[]> {
  const told = (await toldOfMessages(room, one)).filter(({ type }) => type === "message.received");
  assert.equal(new Set(told.map(({ data }) => data["messageId"])).size, told.length, "told twice");
  return told.map(({ data }) => data["text"]);
}

describe("a person with a new identity key", () => {
  for (const push of [true, false]) {
    const how = push ? "of which WhatsApp tells" : "of which nobody tells";
    it(`${how}: what both write arrives, once and in order`, async () => {
      const one = await linked(room);
      const ann = contact(room, "Ann");
      const sent: string[] = [];
      const write = async (text: string): Promise<void> => {
        const queued = await enqueue(room, one, { phone: ann.phone }, { text });
        sent.push(queued.providerMessageId);
        await untilSend(room, one, queued, "message.delivered");
      };
      const first = await ann.messages.sendText(one.phone, "old phone");
      await toldOf(room, one, "message.received", first.id);
      await write("to the old phone");
      applyFault(room.simulator.server, { kind: "new-identity", phone: ann.phone, args: { push } });
      // We write first: with keys that the new phone does not have.
      await write("to the new phone");
      const second = await ann.messages.sendText(one.phone, "new phone");
      await toldOf(room, one, "message.received", second.id);
      await write("again");
      applyFault(room.simulator.server, { kind: "new-identity", phone: ann.phone, args: { push } });
      // They write first: with an identity that is not the one known here.
      for (const text of ["third phone", "still there?"]) {
        const { id } = await ann.messages.sendText(one.phone, text);
        await toldOf(room, one, "message.received", id);
      }
      await write("and again");
      assertReceived(
        ann.messages.received.filter(({ fromMe }) => !fromMe),
        sent,
      );
      assert.ok(ann.messages.received.every(({ copies }) => copies === 1));
      assert.deepEqual(await receivedTexts(one), [
        "old phone",
        "new phone",
        "third phone",
        "still there?",
      ]);
    });
  }

  it("while many messages cross on their way: none is lost, none told twice", async () => {
    const one = await linked(room);
    const ann = contact(room, "Ann");
    const hello = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", hello.id);
    const texts: string[] = ["hello"];
    const sent: string[] = [];
    const queued = [];
    for (let round = 0; round < 12; round += 1) {
      if (round % 4 === 3) {
        applyFault(room.simulator.server, { kind: "new-identity", phone: ann.phone });
      }
      const each = await enqueue(room, one, { phone: ann.phone }, { text: `out ${round}` });
      queued.push(each);
      sent.push(each.providerMessageId);
      await ann.messages.sendText(one.phone, `in ${round}`);
      texts.push(`in ${round}`);
    }
    for (const each of queued) await untilSend(room, one, each, "message.delivered", 20_000);
    await until(async () => (await receivedTexts(one)).length === texts.length, {
      label: "all received",
      deadlineMs: 20_000,
    });
    assert.deepEqual(new Set(await receivedTexts(one)), new Set(texts));
    const received = ann.messages.received.filter(({ fromMe }) => !fromMe);
    assert.deepEqual(received.map(({ id }) => id).toSorted(), sent.toSorted());
    assert.ok(received.every(({ copies }) => copies === 1));
  });

  it("in a group: its members go on understanding each other", async () => {
    const company = await room.company();
    await room.changeCompany(await room.number(company), {
      whatsappConfig: { groupMessages: true },
    });
    const one = await linked(room, company);
    const { server } = room.simulator;
    const ann = server.phone(room.phone(), "Ann");
    const group = createGroup(ann.account, "Team", [server.account(one.phone)]);
    const first = await ann.messages.sendText(group.jid, "one");
    await toldOf(room, one, "message.received", first.id);
    const out = await enqueue(room, one, { groupId: group.jid });
    await untilSend(room, one, out, "message.delivered");
    applyFault(server, { kind: "new-identity", phone: ann.account.phone });
    const second = await ann.messages.sendText(group.jid, "two");
    await toldOf(room, one, "message.received", second.id);
    const next = await enqueue(room, one, { groupId: group.jid });
    await untilSend(room, one, next, "message.delivered");
    assert.deepEqual(
      ann.messages.received.map(({ id, copies }) => [id, copies]),
      [
        [out.providerMessageId, 1],
        [next.providerMessageId, 1],
      ],
    );
  });
});

describe("a number that writes", () => {
  it("to itself: its phone has it, nothing is told as received", async () => {
    const one = await linked(room);
    const queued = await enqueue(room, one, { phone: one.phone }, { text: "note to self" });
    await untilSend(room, one, queued, "message.sent");
    const { messages } = room.simulator.server.phone(one.phone);
    await until(() => messages.received.some(({ id }) => id === queued.providerMessageId), {
      label: "on the own phone",
    });
    const own = await messages.sendText(one.phone, "from the phone");
    await toldOf(room, one, "message.echoed", own.id);
    assert.deepEqual(await receivedTexts(one), []);
    // The library names the own devices twice: as the recipient's and as the sender's. One stanza, one id.
    const [note, ...more] = messages.received;
    assert.deepEqual([note?.id, more.length], [queued.providerMessageId, 0]);
  });

  for (const [whose, isSame] of [
    ["its own company", true],
    ["another company", false],
  ] as const) {
    it(`with a number of ${whose}, both ways at once: each has all of it, once and in order`, async () => {
      const company = await room.company();
      const [one, two] = [
        await linked(room, company),
        await linked(room, isSame ? company : await room.company()),
      ];
      const texts = Array.from({ length: 15 }, (_, nth) => `${nth}`);
      const pairs = [
        [one, two],
        [two, one],
      ] as const;
      const sent = await Promise.all(
        pairs.map(async ([from, to]) => {
          const queued = [];
          for (const text of texts) {
            queued.push(await enqueue(room, from, { phone: to.phone }, { text }));
          }
          return { from, queued };
        }),
      );
      for (const { from, queued } of sent) {
        for (const each of queued) await untilSend(room, from, each, "message.delivered", 30_000);
      }
      for (const [, to] of pairs) {
        await until(async () => (await receivedTexts(to)).length >= texts.length, {
          label: "all received",
        });
        assert.deepEqual(await receivedTexts(to), texts);
      }
    });
  }
});
