import assert from "node:assert/strict";
import { it } from "node:test";
import type { Send, SendContent } from "@manyline/db";
import { contentsOf, UnwritableError } from "./contents.ts";

const SELF = { secret: Buffer.alloc(32, 7) };
const CHAT = { jid: "187650000000002@lid", phoneJid: "79007654321@s.whatsapp.net" };
const GROUP = { jid: "12036300@g.us" };

const send = (more: Partial<Send>): Send => ({
  companyNo: 1,
  numberNo: 1,
  epoch: 1,
  messageId: "msg_1",
  providerMessageId: "3EB0A",
  attempts: 1,
  chatId: "cht_1",
  chatType: "direct",
  phone: "79007654321",
  lid: "187650000000002",
  userId: null,
  groupId: null,
  lastInboundAt: null,
  type: "text",
  text: "hello",
  content: null,
  lane: 1,
  createdAt: new Date(),
  expiresAt: new Date(),
  traceparent: null,
  ...more,
});
const write = (more: Partial<Send>, to: Parameters<typeof contentsOf>[1] = CHAT) =>
  contentsOf(send(more), to, SELF, undefined);

const context = (more: object = {}): SendContent => ({
  context: {
    messageId: "msg_0",
    providerMessageId: "ABC",
    isOwn: false,
    type: "text",
    text: "before",
    phone: "79007654321",
    lid: "187650000000002",
    ...more,
  },
});

it("names the phone beside the LID, and fetches no page that a text names", () => {
  const { content, marks } = write({ text: "see https://example.com" });
  assert.deepEqual(content, { text: "see https://example.com", linkPreview: null });
  assert.deepEqual(marks.attributes, { peer_recipient_pn: "79007654321@s.whatsapp.net" });
});

it("a change names its message as the chat knows it, in a group with its author", () => {
  const deleted = { type: "delete" as const, text: null };
  const own = write({ ...deleted, content: context({ isOwn: true }) });
  assert.deepEqual(own.content, {
    delete: { remoteJid: CHAT.jid, fromMe: true, id: "ABC" },
  });
  assert.equal(own.marks.attributes["edit"], "7");
  const theirs = write({ ...deleted, content: context() }, GROUP);
  assert.deepEqual(theirs.content, {
    delete: {
      remoteJid: GROUP.jid,
      fromMe: false,
      id: "ABC",
      participant: "187650000000002@lid",
    },
  });
  assert.equal(theirs.marks.attributes["edit"], "8");
  assert.equal(
    write({ type: "edit", content: context({ isOwn: true }) }).marks.attributes["edit"],
    "1",
  );
  assert.equal(write({ type: "reaction", content: context() }).marks.attributes["edit"], undefined);
});

it("a poll has the same secret at every try, and another one than other polls", () => {
  const poll = { type: "poll" as const, text: null };
  const content = { poll: { name: "Coming?", options: ["yes", "no"], selectable: 1 } };
  const secret = (more: Partial<Send> = {}) => {
    const made = write({ ...poll, content, ...more }).content;
    assert.ok("poll" in made);
    return Buffer.from(made.poll.messageSecret ?? []).toString("hex");
  };
  assert.equal(secret(), secret());
  assert.equal(secret().length, 64);
  assert.notEqual(secret(), secret({ providerMessageId: "3EB0B" }));
});

it("a card without a form of its own gets one that nobody can break out of", () => {
  const contacts = [{ name: "Bo;\nEND:VCARD, Co", phones: ["+49 171 2345678"] }];
  const { content } = write({ type: "contact", text: null, content: { contacts } });
  assert.ok("contacts" in content);
  assert.deepEqual(content.contacts.contacts[0]?.vcard?.split("\n"), [
    "BEGIN:VCARD",
    "VERSION:3.0",
    String.raw`N:;Bo\; END:VCARD\, Co;;;`,
    String.raw`FN:Bo\; END:VCARD\, Co`,
    "TEL;type=CELL;type=VOICE;waid=491712345678:+491712345678",
    "END:VCARD",
  ]);
});

it("what lacks its content is not written", () => {
  for (const type of ["location", "contact", "poll", "image", "edit", "poll_vote"] as const) {
    assert.throws(() => write({ type, content: null }), UnwritableError, type);
  }
});
