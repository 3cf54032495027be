/** What people write to a linked number, and what is told of it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { applyFault, createGroup } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import {
  assertAllOnce,
  contact,
  field,
  linked,
  toldOf,
  toldOfMessages,
  untilTold,
  type Linked,
} from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";

let room: Room;
let one: Linked;
before(async () => {
  room = await openRoom();
  one = await linked(room);
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

describe("a text", () => {
  for (const addressing of ["lid", "pn", "lid-no-pn"] as const) {
    it(`addressed by ${addressing}: stored, told, and told over the stream`, async () => {
      const shop = await linked(room);
      room.simulator.server.phone(shop.phone).account.overrides = { addressing };
      const ann = contact(room, "Ann");
      const subject = `message.received.*.${shop.number.numberId}`;
      const heard: unknown[] = [];
      const listener = room.bus.subscribe(subject, ({ data }) => {
        heard.push(JSON.parse(Buffer.from(data).toString()));
      });
      const first = await ann.messages.sendText(shop.phone, "hello");
      const second = await ann.messages.sendText(shop.phone, "are you there?");
      const told = await untilTold(room, shop, 2);
      assertAllOnce(told, new Map([["Ann", [first.id, second.id]]]));
      const [event] = told;
      assert.equal(event?.type, "message.received");
      const { from, chat, ...data } = event?.data ?? {};
      const { contactId, lid, ...person } = from as Record<string, string | null>;
      assert.match(contactId ?? "", /^con_/);
      assert.match(lid ?? "", /^\d+$/);
      const phone = addressing === "lid-no-pn" ? null : ann.phone;
      assert.deepEqual(person, { phone, userId: null, username: null, name: "Ann" });
      const { id: chatId, ...where } = chat as Record<string, string | null>;
      assert.match(chatId ?? "", /^cht_/);
      assert.deepEqual(where, { type: "direct", contactId, phone, name: "Ann" });
      assert.match(String(data["messageId"]), /^msg_/);
      assert.equal(data["text"], "hello");
      assert.equal(data["type"], "text");
      assert.equal(data["provider"], "linked");
      await until(() => heard.length === 2, { label: "both on NATS" });
      assert.deepEqual(heard, told);
      await until(() => first.receipts.some(({ deviceId }) => deviceId > 0), {
        label: "a receipt of the linked device",
      });
      await listener.close();
    });
  }

  it("written by the number's own phone is an echo, in the same chat", async () => {
    const shop = await linked(room);
    const ann = contact(room, "Ann");
    await ann.messages.sendText(shop.phone, "hello");
    const answer = await room.simulator.server
      .phone(shop.phone)
      .messages.sendText(ann.phone, "good day");
    const [received, echoed] = await untilTold(room, shop, 2);
    assert.equal(echoed?.type, "message.echoed");
    assert.equal(echoed.data["providerMessageId"], answer.id);
    assert.equal(echoed.data["text"], "good day");
    assert.ok(received);
    assert.equal(field(echoed, "chat")["id"], field(received, "chat")["id"]);
    assert.equal(field(echoed, "from")["contactId"], null);
    assert.deepEqual([received.seq, echoed.seq], [1, 2]);
  });
});

describe("groups", () => {
  it("are silent until the company wants them, and lose nothing of what comes then", async () => {
    const shop = await linked(room);
    const { server } = room.simulator;
    const ann = contact(room, "Ann");
    const accounts = [ann.phone, shop.phone].map((phone) => server.phone(phone).account);
    const [annAccount, shopAccount] = accounts;
    assert.ok(annAccount && shopAccount);
    const group = createGroup(annAccount, "Orders", [shopAccount]);
    const silent = await ann.messages.sendText(group.jid, "nobody listens");
    const direct = await ann.messages.sendText(shop.phone, "to you alone");
    await toldOf(room, shop, "message.received", direct.id);
    await room.changeCompany(shop.number, { whatsappConfig: { groupMessages: true } });
    // The change reaches the owner with its next look.
    const told = await until(
      async () => {
        await ann.messages.sendText(group.jid, "somebody?");
        const [, ...events] = await toldOfMessages(room, shop);
        return events.length > 0 ? events : undefined;
      },
      { label: "a group's message", intervalMs: 200 },
    );
    assert.ok(told.every(({ data }) => data["providerMessageId"] !== silent.id));
    assert.ok(told[0]);
    const chat = field(told[0], "chat");
    assert.deepEqual([chat["type"], chat["contactId"]], ["group", null]);
    assert.equal(field(told[0], "from")["phone"], ann.phone);
  });
});

describe("what cannot be read", () => {
  it("waits, and comes under the same id when the sender's phone sends it again", async () => {
    const shop = await linked(room);
    const { server } = room.simulator;
    const ann = contact(room, "Ann");
    await ann.messages.sendText(shop.phone, "hello");
    await untilTold(room, shop, 1);
    applyFault(server, { kind: "garble", phone: shop.phone, deviceId: 1, times: 1 });
    const { id } = await ann.messages.sendText(shop.phone, "bent");
    const waiting = await toldOf(room, shop, "message.waiting", id);
    const received = await toldOf(room, shop, "message.received", id);
    assert.equal(received.data["text"], "bent");
    assert.equal(received.data["messageId"], waiting.data["messageId"]);
    assert.equal((await toldOfMessages(room, shop)).length, 3);
  });

  it("because WhatsApp shows it on the phone only: it waits", async () => {
    const { server } = room.simulator;
    const ann = contact(room, "Ann");
    const [device] = server.account(one.phone).devices.values();
    device?.push({
      tag: "message",
      attrs: {
        from: `${server.account(ann.phone).lid}@lid`,
        sender_pn: `${ann.phone}@s.whatsapp.net`,
        id: "3AONCE",
        t: "1790000000",
        type: "media",
        notify: "Ann",
      },
      content: [{ tag: "unavailable", attrs: { type: "view_once" } }],
    });
    const { data } = await toldOf(room, one, "message.waiting", "3AONCE");
    assert.deepEqual([data["type"], data["isViewOnce"]], ["unknown", true]);
    await until(() => device?.pending.size === 0, { label: "its receipt" });
  });
});

describe("delivered again", () => {
  it("because our receipts were lost: told once, without asking anybody for another copy", async () => {
    const shop = await linked(room);
    const { server } = room.simulator;
    const ann = contact(room, "Ann");
    applyFault(server, { kind: "lose-receipts", phone: shop.phone });
    const retries = server.stats.clientRetries;
    // The first of these begins the session, the others go on with it.
    const ids: string[] = [];
    for (const text of ["one", "two", "three"]) {
      ids.push((await ann.messages.sendText(shop.phone, text)).id);
    }
    await untilTold(room, shop, 3);
    for (let round = 0; round < 2; round += 1) {
      const [device] = server.account(shop.phone).devices.values();
      const live = server.events.once(
        "live",
        ({ account }) => account.phone === shop.phone,
        10_000,
      );
      device?.connection?.drop();
      if (round === 1) room.simulator.server.faults.clear();
      await live;
    }
    const [device] = server.account(shop.phone).devices.values();
    await until(() => device?.pending.size === 0, { label: "all receipts" });
    assertAllOnce(await toldOfMessages(room, shop), new Map([["Ann", ids]]));
    assert.equal(server.stats.clientRetries, retries);
  });
});
