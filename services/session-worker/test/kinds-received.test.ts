/**
 * Every kind of message that comes: written and encrypted by a phone, decrypted by Baileys, told as an event whose
 * whole content is compared. From a person, from a member of a group, and from the number's own phone.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { getMedia, withCompany } from "@manyline/db";
import { applyFault, createGroup, type Content, type PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { contact, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";

/** Who writes, where to, and as which event it is told. */
type Place = {
  one: Linked;
  writer: PhoneMessages;
  to: string;
  event: "message.received" | "message.echoed";
  isGroup: boolean;
  /** The person's, of the chat or of who wrote. */
  name: string;
  phone: string;
};

type Raw = Extract<Content, { kind: "raw" }>["message"];

let room: Room;
const places = new Map<string, Place>();
before(async () => {
  room = await openRoom();
  const { server } = room.simulator;
  const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
  const one = await linked(room);
  await room.changeCompany(one.number, { whatsappConfig: { groupMessages: true } });
  const [annAccount, ...others] = [ann.phone, bo.phone, one.phone].map(
    (phone) => server.phone(phone).account,
  );
  assert.ok(annAccount);
  const group = createGroup(annAccount, "Orders", others);
  const event = "message.received";
  places.set("a person", {
    one,
    event,
    writer: ann.messages,
    to: one.phone,
    isGroup: false,
    name: "Ann",
    phone: ann.phone,
  });
  places.set("a group", {
    one,
    event,
    writer: bo.messages,
    to: group.jid,
    isGroup: true,
    name: "Bo",
    phone: bo.phone,
  });
  places.set("the number's own phone", {
    one,
    event: "message.echoed",
    writer: server.phone(one.phone).messages,
    to: ann.phone,
    isGroup: false,
    name: "Ann",
    phone: ann.phone,
  });
  // The company's wish reaches the owner with its next look.
  await until(
    async () => {
      await bo.messages.sendText(group.jid, "somebody?");
      return (await toldOfMessages(room, one)).length > 0;
    },
    { label: "a group's message", intervalMs: 300 },
  );
  // Afterwards the chat has its person's name, whoever writes.
  const { id } = await ann.messages.sendText(one.phone, "hello");
  await toldOf(room, one, event, id);
});
after(async () => {
  assert.deepEqual(room.simulator.server.unhandled, []);
  await room.close();
});

const placeOf = (name: string): Place => {
  const place = places.get(name);
  assert.ok(place);
  return place;
};

/** What is told of it, all of it, besides the ids that are made on the way. */
async function judge(place: Place, content: Content, expected: Record<string, unknown>) {
  const { one, writer, to, event } = place;
  const { id, at: writtenAt } = await writer.send(to, content);
  const { data } = await toldOf(room, one, event, id);
  const { messageId, chat, from, at, media, ...rest } = data;
  assert.match(String(messageId), /^msg_/);
  assert.ok(Math.abs(Date.parse(String(at)) - writtenAt) < 3_000);
  const { id: chatId, contactId, ...where } = chat as Record<string, unknown>;
  const { contactId: author, lid, ...who } = from as Record<string, unknown>;
  assert.match(String(chatId), /^cht_/);
  const { isGroup, name, phone } = place;
  assert.deepEqual(
    where,
    isGroup ? { type: "group", phone: null, name: null } : { type: "direct", phone, name },
  );
  const isOwn = event === "message.echoed";
  const nobody = { userId: null, username: null };
  assert.deepEqual(who, {
    ...nobody,
    ...(isOwn ? { phone: one.phone, name: null } : { phone, name }),
  });
  assert.equal(typeof lid, isOwn ? "object" : "string");
  if (!isOwn && !isGroup) assert.equal(author, contactId);
  assert.equal(isGroup, contactId === null);
  assert.deepEqual(rest, {
    providerMessageId: id,
    provider: "linked",
    text: null,
    context: null,
    ...expected,
  });
  return { id, messageId, media: media as Record<string, unknown> | null };
}

/** What our store has of a file after it was fetched from WhatsApp. */
async function fetched({ one }: Place, mediaId: string): Promise<Buffer> {
  const { companyNo } = one.number;
  const { state } = await room.command(one.number, "fetch_media", { mediaId });
  assert.equal(state, "done");
  const row = await withCompany(room.app, companyNo, (tx) => getMedia(tx, companyNo, mediaId));
  const opened = await room.media.open(row?.location ?? "");
  assert.ok(opened);
  return Buffer.concat(await opened.stream.toArray());
}

const raw = (message: Raw): Content => ({ kind: "raw", message });
const vcard = "BEGIN:VCARD\nVERSION:3.0\nFN:Bo\nTEL;waid=491712345678:+49 171 2345678\nEND:VCARD";
const card = { name: "Bo", phones: ["491712345678"], vcard };
const long = `${"ä".repeat(4_000)} 👩‍👩‍👧 end`;

const PLAIN: [string, Content, Record<string, unknown>][] = [
  ["a text", { kind: "text", text: "hello" }, { type: "text", text: "hello" }],
  ["a long text", { kind: "text", text: long }, { type: "text", text: long }],
  [
    "a forwarded text with a link",
    raw({
      extendedTextMessage: {
        text: "see https://example.com",
        matchedText: "https://example.com",
        contextInfo: { isForwarded: true, forwardingScore: 1 },
      },
    }),
    { type: "text", text: "see https://example.com", isForwarded: true },
  ],
  [
    "a disappearing text",
    raw({ ephemeralMessage: { message: { extendedTextMessage: { text: "soon gone" } } } }),
    { type: "text", text: "soon gone" },
  ],
  [
    "a location",
    raw({
      locationMessage: {
        degreesLatitude: 52.5,
        degreesLongitude: -13.25,
        name: "Gate",
        address: "Street 1",
        comment: "here",
      },
    }),
    {
      type: "location",
      text: "here",
      location: { latitude: 52.5, longitude: -13.25, name: "Gate", address: "Street 1" },
    },
  ],
  [
    "a live location",
    raw({
      liveLocationMessage: { degreesLatitude: 1, degreesLongitude: 2, caption: "on my way" },
    }),
    {
      type: "location",
      text: "on my way",
      location: { latitude: 1, longitude: 2, isLive: true },
    },
  ],
  ["a contact", { kind: "contact", name: "Bo", vcard }, { type: "contact", contacts: [card] }],
  [
    "several contacts",
    raw({
      contactsArrayMessage: {
        displayName: "2 contacts",
        contacts: [
          { displayName: "Bo", vcard },
          { displayName: "Cleo", vcard: "BEGIN:VCARD\nTEL:+1 555 0100\nEND:VCARD" },
        ],
      },
    }),
    {
      type: "contact",
      text: "2 contacts",
      contacts: [
        card,
        { name: "Cleo", phones: ["15550100"], vcard: "BEGIN:VCARD\nTEL:+1 555 0100\nEND:VCARD" },
      ],
    },
  ],
  [
    "a poll",
    { kind: "poll", name: "Coming?", options: ["yes", "no"], selectable: 1 },
    {
      type: "poll",
      text: "Coming?",
      poll: { name: "Coming?", options: ["yes", "no"], selectable: 1 },
    },
  ],
  [
    "a button that was chosen",
    raw({
      buttonsResponseMessage: { selectedButtonId: "b1", selectedDisplayText: "Red" },
    }),
    { type: "button_reply", text: "Red", selection: { id: "b1", title: "Red" } },
  ],
  [
    "a template's button that was chosen",
    raw({ templateButtonReplyMessage: { selectedId: "b2", selectedDisplayText: "Blue" } }),
    { type: "button_reply", text: "Blue", selection: { id: "b2", title: "Blue" } },
  ],
  [
    "a row of a list that was chosen",
    raw({ listResponseMessage: { title: "Red", singleSelectReply: { selectedRowId: "r1" } } }),
    { type: "list_reply", text: "Red", selection: { id: "r1", title: "Red" } },
  ],
  [
    "a row of a flow's list that was chosen",
    raw({
      interactiveResponseMessage: {
        body: { text: "Red" },
        nativeFlowResponseMessage: { name: "menu_options", paramsJson: '{"id":"r2"}' },
      },
    }),
    { type: "list_reply", text: "Red", selection: { id: "r2", title: "Red" } },
  ],
  [
    "what there is no shape for",
    raw({ orderMessage: { orderId: "1", message: "two of these" } }),
    { type: "unsupported", text: "two of these" },
  ],
  [
    "a photo that is shown once, without its key",
    raw({ viewOnceMessageV2: { message: { imageMessage: { mimetype: "image/jpeg" } } } }),
    { type: "image", isViewOnce: true },
  ],
];

type File = Extract<Content, { bytes: Uint8Array }>;
/** With what is told of the message, and what of its file. */
const FILES: [string, Omit<File, "bytes">, Record<string, unknown>, Record<string, unknown>?][] = [
  [
    "an image",
    { kind: "image", mimetype: "image/jpeg", caption: "look", width: 640, height: 480 },
    { type: "image", text: "look" },
    { width: 640, height: 480 },
  ],
  [
    "a video",
    { kind: "video", mimetype: "video/mp4", caption: "watch", width: 64, height: 48, seconds: 7 },
    { type: "video", text: "watch" },
    { width: 64, height: 48, seconds: 7 },
  ],
  [
    "a voice message",
    { kind: "audio", mimetype: "audio/ogg; codecs=opus", voice: true, seconds: 3 },
    { type: "voice" },
    { seconds: 3 },
  ],
  [
    "a voice message that is played once",
    { kind: "audio", mimetype: "audio/ogg; codecs=opus", voice: true, viewOnce: true },
    { type: "voice", isViewOnce: true },
  ],
  [
    "a photo that is shown once",
    { kind: "image", mimetype: "image/jpeg", viewOnce: true },
    { type: "image", isViewOnce: true },
  ],
  ["a sound file", { kind: "audio", mimetype: "audio/mpeg" }, { type: "audio" }],
  [
    "a document",
    { kind: "document", mimetype: "application/pdf", fileName: "bill.pdf", caption: "yours" },
    { type: "document", text: "yours" },
  ],
  ["a sticker", { kind: "sticker", mimetype: "image/webp" }, { type: "sticker" }],
];

for (const name of ["a person", "a group", "the number's own phone"]) {
  describe(`written by ${name}`, () => {
    for (const [what, content, expected] of PLAIN) {
      it(what, async () => {
        const { media } = await judge(placeOf(name), content, expected);
        assert.equal(media, null);
      });
    }

    for (const [what, file, expected, facts = {}] of FILES) {
      it(`${what}, and its bytes`, async () => {
        const place = placeOf(name);
        const bytes = randomBytes(20_000);
        const { media } = await judge(place, { ...file, bytes }, expected);
        const mediaId = String(media?.["id"]);
        assert.match(mediaId, /^med_/);
        assert.deepEqual(media, {
          id: mediaId,
          mimeType: file.mimetype,
          bytes: bytes.length,
          sha256: createHash("sha256").update(bytes).digest("base64"),
          fileName: file.fileName ?? null,
          ...facts,
        });
        assert.deepEqual(await fetched(place, mediaId), bytes);
      });
    }

    it("a reply, with and without a file", async () => {
      const place = placeOf(name);
      const first = await judge(
        place,
        { kind: "text", text: "one" },
        { type: "text", text: "one" },
      );
      const context = { messageId: first.messageId, providerMessageId: first.id };
      const reply = { kind: "text", text: "two", quote: first.id } as const;
      await judge(place, reply, { type: "text", text: "two", context });
      const contextInfo = { stanzaId: first.id };
      const quoting = raw({ locationMessage: { degreesLatitude: 1, contextInfo } });
      const location = { latitude: 1, longitude: 0 };
      await judge(place, quoting, { type: "location", location, context });
      const unknown = { kind: "text", text: "three", quote: "3A00" } as const;
      const lost = { messageId: null, providerMessageId: "3A00" };
      await judge(place, unknown, { type: "text", text: "three", context: lost });
    });

    it("a reaction and its end, an edit, a deletion", async () => {
      const place = placeOf(name);
      const { one, writer, to } = place;
      const first = await judge(place, { kind: "text", text: "a" }, { type: "text", text: "a" });
      const changes: [Content, string, Record<string, unknown>][] = [
        [{ kind: "reaction", target: first.id, emoji: "👍🏽" }, "reaction", { emoji: "👍🏽" }],
        [{ kind: "reaction", target: first.id, emoji: "" }, "reaction", { emoji: null }],
        [{ kind: "edit", target: first.id, text: "b" }, "edited", { text: "b" }],
        [{ kind: "delete", target: first.id }, "deleted", {}],
      ];
      const original = await toldOf(room, one, place.event, first.id);
      for (const [index, [content, type, expected]] of changes.entries()) {
        const { id: changeProviderMessageId } = await writer.send(to, content);
        const event = await until(
          async () =>
            (await toldOfMessages(room, one)).filter(
              (each) => each.data["messageId"] === first.messageId,
            )[index + 1],
          { label: type },
        );
        assert.equal(event.type, `message.${type}`);
        const { at, ...data } = event.data;
        assert.ok(Date.parse(String(at)) > 0);
        const { messageId } = first;
        const { chat, from } = original.data;
        const ids = { providerMessageId: first.id, changeProviderMessageId };
        const about = { provider: "linked", ...ids, messageId };
        assert.deepEqual(data, { ...about, chat, from, ...expected });
        assert.equal(event.seq, (original.seq ?? 0) + index + 1);
      }
    });
  });
}

for (const name of ["a person", "a group"]) {
  describe(`that cannot be read, by ${name}`, () => {
    it("waits with all that is known of it, and comes in its place", async () => {
      const { one, writer, to } = placeOf(name);
      const { id: earlier } = await writer.sendText(to, "straight");
      const straight = await toldOf(room, one, "message.received", earlier);
      const { server } = room.simulator;
      applyFault(server, { kind: "garble", phone: one.phone, deviceId: 1, times: 1 });
      const { id } = await writer.sendText(to, "bent");
      const waiting = await toldOf(room, one, "message.waiting", id);
      const received = await toldOf(room, one, "message.received", id);
      const { chat, from } = straight.data;
      const { messageId, at, ...rest } = waiting.data;
      const nothing = { text: null, media: null, context: null };
      const ids = { providerMessageId: id, provider: "linked" };
      assert.deepEqual(rest, { ...ids, chat, from, type: "unknown", ...nothing });
      const { at: writtenAt, ...now } = received.data;
      const text = { type: "text", text: "bent" };
      assert.deepEqual(now, { ...ids, chat, from, messageId, ...nothing, ...text });
      assert.equal(Date.parse(String(writtenAt)), Date.parse(String(at)));
      assert.equal(received.seq, (waiting.seq ?? 0) + 1);
    });
  });
}
