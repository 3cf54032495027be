/** What people write to a linked number, and what is told of it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { applyFault, createGroup, type Content } from "@manyline/simulators";
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

describe("kinds", () => {
  const bytes = Buffer.from("the bytes of a file");
  const kinds: [string, Content, Record<string, unknown>][] = [
    [
      "image",
      { kind: "image", bytes, mimetype: "image/jpeg", caption: "look" },
      { type: "image", text: "look" },
    ],
    ["video", { kind: "video", bytes, mimetype: "video/mp4" }, { type: "video", text: null }],
    [
      "voice",
      { kind: "audio", bytes, mimetype: "audio/ogg; codecs=opus", voice: true },
      { type: "voice" },
    ],
    ["audio", { kind: "audio", bytes, mimetype: "audio/mpeg" }, { type: "audio" }],
    [
      "document",
      { kind: "document", bytes, mimetype: "application/pdf", fileName: "bill.pdf" },
      { type: "document" },
    ],
    ["sticker", { kind: "sticker", bytes, mimetype: "image/webp" }, { type: "sticker" }],
    [
      "location",
      { kind: "location", latitude: 52.5, longitude: 13.4, name: "Gate" },
      { type: "location", location: { latitude: 52.5, longitude: 13.4, name: "Gate" } },
    ],
    [
      "contact",
      { kind: "contact", name: "Bo", vcard: "BEGIN:VCARD\nTEL;waid=491712:+49\nEND:VCARD" },
      { type: "contact" },
    ],
    [
      "poll",
      {
        kind: "raw",
        message: {
          pollCreationMessageV3: {
            name: "Coming?",
            options: [{ optionName: "yes" }, { optionName: "no" }],
            selectableOptionsCount: 1,
          },
          messageContextInfo: { messageSecret: Buffer.alloc(32, 7) },
        },
      },
      { type: "poll", poll: { name: "Coming?", options: ["yes", "no"], selectable: 1 } },
    ],
    [
      "button",
      {
        kind: "raw",
        message: { buttonsResponseMessage: { selectedButtonId: "b1", selectedDisplayText: "Red" } },
      },
      { type: "button_reply", text: "Red", selection: { id: "b1", title: "Red" } },
    ],
    [
      "list",
      {
        kind: "raw",
        message: {
          listResponseMessage: { title: "Red", singleSelectReply: { selectedRowId: "r1" } },
        },
      },
      { type: "list_reply", selection: { id: "r1", title: "Red" } },
    ],
    [
      "view once",
      {
        kind: "raw",
        message: { viewOnceMessageV2: { message: { imageMessage: { mimetype: "image/jpeg" } } } },
      },
      { type: "image", isViewOnce: true, media: null },
    ],
    [
      "unsupported",
      { kind: "raw", message: { orderMessage: { message: "two of these" } } },
      { type: "unsupported", text: "two of these" },
    ],
  ];
  for (const [name, content, expected] of kinds) {
    it(name, async () => {
      const ann = contact(room, "Ann");
      const { id } = await ann.messages.send(one.phone, content);
      const { data } = await toldOf(room, one, "message.received", id);
      for (const [what, value] of Object.entries(expected)) {
        assert.deepEqual(data[what], value, what);
      }
      if (!("bytes" in content)) return;
      const media = data["media"] as Record<string, unknown>;
      assert.match(String(media["id"]), /^med_/);
      assert.equal(media["mimeType"], content.mimetype);
      assert.equal(media["bytes"], bytes.length);
      assert.equal(media["fileName"], content.fileName ?? null);
    });
  }

  it("a reply, a reaction, an edit and a deletion name what they are about", async () => {
    const ann = contact(room, "Ann");
    const first = await ann.messages.sendText(one.phone, "frist");
    const { data } = await toldOf(room, one, "message.received", first.id);
    const about = { messageId: data["messageId"], providerMessageId: first.id };
    const reply = await ann.messages.send(one.phone, {
      kind: "text",
      text: "this one",
      quote: first.id,
    });
    const quoted = await toldOf(room, one, "message.received", reply.id);
    assert.deepEqual(quoted.data["context"], about);
    await ann.messages.send(one.phone, { kind: "reaction", target: first.id, emoji: "👍" });
    const reaction = await toldOf(room, one, "message.reaction", first.id);
    assert.deepEqual([reaction.data["emoji"], reaction.data["messageId"]], ["👍", about.messageId]);
    await ann.messages.send(one.phone, { kind: "edit", target: first.id, text: "first" });
    const edit = await toldOf(room, one, "message.edited", first.id);
    assert.deepEqual([edit.data["text"], edit.data["messageId"]], ["first", about.messageId]);
    await ann.messages.send(one.phone, { kind: "delete", target: first.id });
    const deletion = await toldOf(room, one, "message.deleted", first.id);
    assert.equal(deletion.data["messageId"], about.messageId);
    const seqs = [quoted, reaction, edit, deletion].map(({ seq }) => seq);
    assert.deepEqual(seqs, [2, 3, 4, 5]);
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
