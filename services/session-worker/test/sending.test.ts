/** Messages that are sent over a linked number, as the people who get them see it. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { applyFault, createGroup, type PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, toldOfSend, untilSend, type Queued } from "./sending.ts";

let room: Room;
let one: Linked;
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "50", SEND_BURST: "50" } });
  one = await linked(room);
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

/** What the person got under this id, once it is there. */
const received = (messages: PhoneMessages, { providerMessageId }: Queued) =>
  until(() => messages.received.find(({ id }) => id === providerMessageId), { label: "received" });

describe("a text", () => {
  it("is read by the person; delivered and read are told, in the order of the chat", async () => {
    const ann = contact(room, "Ann");
    const queued = await enqueue(room, one, { phone: ann.phone }, { text: "good day, Ann" });
    await untilSend(room, one, queued, "message.delivered");
    const got = await received(ann.messages, queued);
    assert.deepEqual([got.text, got.chat, got.copies], ["good day, Ann", one.phone, 1]);
    ann.messages.confirm(one.phone);
    await untilSend(room, one, queued, "message.read");
    const told = await toldOfSend(room, one, queued);
    assert.deepEqual(
      told.map(({ type }) => type),
      ["message.queued", "message.sent", "message.delivered", "message.read"],
    );
    assert.deepEqual(
      told.map(({ data }) => data["providerMessageId"]),
      told.map(() => queued.providerMessageId),
    );
    // The number's own phone shows it as well.
    const { messages } = room.simulator.server.phone(one.phone);
    await received(messages, queued);
  });

  it("to somebody known by LID goes there, and comes back as no echo", async () => {
    const ann = contact(room, "Ann");
    const written = await ann.messages.sendText(one.phone, "hello");
    const event = await toldOf(room, one, "message.received", written.id);
    const chat = event.data["chat"] as { id: string };
    const queued = await enqueue(room, one, { chatId: chat.id });
    assert.equal((await received(ann.messages, queued)).addressing, "lid");
    await untilSend(room, one, queued, "message.delivered");
    const told = await toldOfMessages(room, one);
    assert.ok(!told.some(({ type }) => type === "message.echoed"));
  });

  it("to somebody first written to by phone: LID and phone become one person", async () => {
    const ann = contact(room, "Ann");
    const queued = await enqueue(room, one, { phone: ann.phone });
    const sent = await untilSend(room, one, queued, "message.sent");
    const answer = await ann.messages.sendText(one.phone, "who are you?");
    const event = await toldOf(room, one, "message.received", answer.id);
    assert.deepEqual(
      (event.data["chat"] as { id: string }).id,
      (sent.data["chat"] as { id: string }).id,
    );
  });

  it("to a phone that is not on WhatsApp fails, and nothing leaves", async () => {
    const phone = room.phone();
    room.simulator.server.phone(phone).account.exists = false;
    const queued = await enqueue(room, one, { phone });
    const { data } = await untilSend(room, one, queued, "message.failed");
    assert.equal((data["error"] as { code: string }).code, "PHONE_NOT_ON_WHATSAPP");
    assert.equal(room.simulator.server.record.summary({}).lateStanzas, 0);
  });

  it("that a device cannot read is sent to it once more, as it was", async () => {
    const ann = contact(room, "Ann");
    const first = await enqueue(room, one, { phone: ann.phone });
    await untilSend(room, one, first, "message.delivered");
    applyFault(room.simulator.server, { kind: "forget-sessions", phone: ann.phone });
    const queued = await enqueue(room, one, { phone: ann.phone }, { text: "can you read this?" });
    const got = await received(ann.messages, queued);
    assert.equal(got.text, "can you read this?");
    assert.ok(room.simulator.server.stats.phoneRetries > 0);
    await untilSend(room, one, queued, "message.delivered");
  });

  it("to a group is read by its members", async () => {
    const { server } = room.simulator;
    const ann = contact(room, "Ann");
    const bo = contact(room, "Bo");
    const accounts = [one.phone, bo.phone].map((phone) => server.phone(phone).account);
    const group = createGroup(server.phone(ann.phone).account, "Orders", accounts);
    const queued = await enqueue(room, one, { groupId: group.jid }, { text: "to all" });
    for (const { messages } of [ann, bo]) {
      const got = await received(messages, queued);
      assert.deepEqual([got.text, got.chat], ["to all", group.jid]);
    }
    await untilSend(room, one, queued, "message.delivered");
  });

  it("to a group it does not belong to fails, and says that it may not", async () => {
    const { server } = room.simulator;
    const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
    const members = [server.phone(bo.phone).account];
    const group = createGroup(server.phone(ann.phone).account, "Others", members);
    const queued = await enqueue(room, one, { groupId: group.jid }, { text: "let me in" });
    const failed = await untilSend(room, one, queued, "message.failed");
    assert.equal((failed.data["error"] as { code: string }).code, "NOT_ALLOWED");
  });
});

describe("changes", () => {
  it("a reply, a reaction and its end, an edit, a deletion: in one chat, in this order", async () => {
    const ann = contact(room, "Ann");
    const question = await ann.messages.sendText(one.phone, "red or blue?");
    const asked = await toldOf(room, one, "message.received", question.id);
    const chatId = (asked.data["chat"] as { id: string }).id;
    const to = { chatId };
    const contextId = String(asked.data["messageId"]);
    const reply = await enqueue(room, one, to, { text: "rde", contextId });
    const like = { type: "reaction" as const, text: null };
    const liked = await enqueue(room, one, to, { ...like, contextId, content: { emoji: "👍" } });
    const unliked = await enqueue(room, one, to, { ...like, contextId, content: { emoji: null } });
    const changes = { contextId: reply.messageId };
    const edited = await enqueue(room, one, to, { type: "edit", text: "red", ...changes });
    const deleted = await enqueue(room, one, to, { type: "delete", text: null, ...changes });
    await untilSend(room, one, deleted, "message.sent");
    await received(ann.messages, deleted);
    assert.deepEqual(
      ann.messages.received.map(({ id, kind, text, target }) => [id, kind, text, target]),
      [
        [reply.providerMessageId, "text", "rde", question.id],
        [liked.providerMessageId, "reaction", "👍", question.id],
        [unliked.providerMessageId, "reaction", "", question.id],
        [edited.providerMessageId, "edit", "red", reply.providerMessageId],
        [deleted.providerMessageId, "delete", undefined, reply.providerMessageId],
      ],
    );
    const told = await toldOfMessages(room, one);
    const changed = told
      .filter(({ data }) => (data["chat"] as { id: string }).id === chatId)
      .map(({ type }) => type)
      .filter((type) => /reaction|edited|deleted/.test(type));
    assert.deepEqual(changed, [
      "message.reaction",
      "message.reaction",
      "message.edited",
      "message.deleted",
    ]);
  });
});

describe("gestures", () => {
  const asked = (phone: string) => ({ phone, lid: null, groupId: null });

  it("who is on WhatsApp", async () => {
    const ann = contact(room, "Ann");
    const nobody = room.phone();
    room.simulator.server.phone(nobody).account.exists = false;
    const phones = [nobody, ann.phone];
    const { state, result } = await room.command(one.number, "check_phones", { phones });
    assert.equal(state, "done");
    const [first, second] = (result as { results: Record<string, unknown>[] }).results;
    assert.deepEqual(first, { phone: nobody, isOnWhatsapp: false, lid: null });
    assert.equal(second?.["isOnWhatsapp"], true);
    assert.match(String(second["lid"]), /^\d+$/);
  });

  it("messages are marked as read, and their writer sees it", async () => {
    const ann = contact(room, "Ann");
    const { id, receipts } = await ann.messages.sendText(one.phone, "hello");
    await toldOf(room, one, "message.received", id);
    const messages = [{ providerMessageId: id, phone: ann.phone, lid: null }];
    const chat = asked(ann.phone);
    const { state } = await room.command(one.number, "mark_read", { chat, messages });
    assert.equal(state, "done");
    await until(() => receipts.some(({ type }) => type === "read"), { label: "read" });
  });

  it("typing is shown", async () => {
    const ann = contact(room, "Ann");
    const chat = asked(ann.phone);
    const command = await room.command(one.number, "show_typing", { chat, state: "typing" });
    assert.equal(command.state, "done");
  });

  it("without a connection they are refused at once", async () => {
    const number = await room.number(await room.company());
    const { state, error } = await room.command(number, "check_phones", {
      phones: ["79001234567"],
    });
    assert.equal(state, "failed");
    assert.equal((error as { code: string }).code, "NOT_CONNECTED");
  });
});
