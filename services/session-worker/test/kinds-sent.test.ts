/**
 * Every kind of message that we send: written and encrypted by Baileys, decrypted by the phones, and compared in the
 * protocol's own form. To a person, whose phone gets it as well as the number's own, and to all of a group.
 */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, it } from "node:test";
import { newMediaId, type MessageType } from "@manyline/contracts";
import { insertMedia, withCompany, type SendInput } from "@manyline/db";
import { createGroup, type PhoneMessages } from "@manyline/simulators";
import { until } from "@manyline/testkit";
import { proto } from "@whiskeysockets/baileys";
import { contact, linked, toldOf, toldOfMessages, type Linked } from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";
import { enqueue, untilSend, type Queued } from "./sending.ts";

/** Where to, who reads it there, and who of them wrote in the chat before. */
type Place = {
  to: SendInput["to"];
  readers: PhoneMessages[];
  /** As the readers name the chat. */
  chat: string;
  /** The other one's message in the chat: ours and WhatsApp's id, and who wrote it. */
  theirs: { messageId: string; providerMessageId: string };
  writer: string;
  /** The chat's address, and the writer's in a group. */
  jid: string;
  participant: string | undefined;
};

let room: Room;
let one: Linked;
const places = new Map<string, Place>();
before(async () => {
  room = await openRoom({ env: { SENDS_PER_SECOND: "100", SEND_BURST: "100" } });
  one = await linked(room);
  await room.changeCompany(one.number, { whatsappConfig: { groupMessages: true } });
  const { server } = room.simulator;
  const [ann, bo] = [contact(room, "Ann"), contact(room, "Bo")];
  const [boAccount, ...others] = [bo.phone, ann.phone, one.phone].map(
    (phone) => server.phone(phone).account,
  );
  assert.ok(boAccount);
  const group = createGroup(boAccount, "Orders", others);
  const own = server.phone(one.phone).messages;
  const hello = await ann.messages.sendText(one.phone, "hello");
  const heard = await toldOf(room, one, "message.received", hello.id);
  const annLid = `${server.account(ann.phone).lid}@lid`;
  places.set("a person", {
    to: { chatId: (heard.data["chat"] as { id: string }).id },
    readers: [ann.messages, own],
    chat: ann.phone,
    theirs: { messageId: String(heard.data["messageId"]), providerMessageId: hello.id },
    writer: annLid,
    jid: annLid,
    participant: undefined,
  });
  // The company's wish reaches the owner with its next look.
  const inGroup = await until(
    async () => {
      await bo.messages.sendText(group.jid, "somebody?");
      const told = await toldOfMessages(room, one);
      return told.find(({ data }) => (data["chat"] as { type: string }).type === "group");
    },
    { label: "a group's message", intervalMs: 300 },
  );
  const boLid = `${boAccount.lid}@lid`;
  places.set("a group", {
    to: { groupId: group.jid },
    readers: [ann.messages, bo.messages, own],
    chat: group.jid,
    theirs: {
      messageId: String(inGroup.data["messageId"]),
      providerMessageId: String(inGroup.data["providerMessageId"]),
    },
    writer: boLid,
    jid: group.jid,
    participant: boLid,
  });
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

/** Without what only carries keys. Bytes are base64. */
function plain(message: proto.IMessage): Record<string, unknown> {
  const { senderKeyDistributionMessage: _key, messageContextInfo: _secret, ...rest } = message;
  return proto.Message.toObject(proto.Message.fromObject(rest), { longs: Number, bytes: String });
}

/** Sends it, and compares what each phone of the chat got. Resolves with the first reader's. */
async function judge(
  place: Place,
  input: Partial<SendInput>,
  expected: (message: proto.IMessage) => Record<string, unknown>,
): Promise<Queued & { message: proto.IMessage; reader: PhoneMessages }> {
  const queued = await enqueue(room, one, place.to, { text: null, ...input });
  const { providerMessageId } = queued;
  const { chat, readers } = place;
  const got = await Promise.all(
    readers.map((reader) =>
      until(() => reader.received.find(({ id }) => id === providerMessageId), {
        label: "received",
      }),
    ),
  );
  const [reader] = readers;
  const [first] = got;
  assert.ok(first && reader);
  for (const each of got) {
    assert.deepEqual(plain(each.message), expected(each.message));
    assert.equal(each.from, one.phone);
    assert.equal(each.copies, 1);
    if (chat.includes("@") || each.fromMe) assert.equal(each.chat, chat);
    else assert.equal(each.chat, one.phone);
  }
  await untilSend(room, one, queued, "message.sent");
  return { ...queued, message: first.message, reader };
}

const TEL = "TEL;type=CELL;type=VOICE;waid=491712345678:+491712345678";
const cardOf = (escaped: string): string =>
  `BEGIN:VCARD\nVERSION:3.0\nN:;${escaped};;;\nFN:${escaped}\n${TEL}\nEND:VCARD`;
const own = "BEGIN:VCARD\nFN:Cleo\nEND:VCARD";
const long = `${"ä".repeat(4_000)} 👩‍👩‍👧 end`;
const pollOf = (selectable: number): Partial<SendInput> => ({
  type: "poll",
  content: { poll: { name: "Coming?", options: ["yes", "no"], selectable } },
});
const asked = {
  name: "Coming?",
  options: [{ optionName: "yes" }, { optionName: "no" }],
};

const PLAIN: [string, Partial<SendInput>, Record<string, unknown>][] = [
  ["a text", { text: "good day" }, { extendedTextMessage: { text: "good day" } }],
  ["a long text", { text: long }, { extendedTextMessage: { text: long } }],
  [
    "a link, which nobody fetches",
    { text: "see https://127.0.0.1:1/page" },
    { extendedTextMessage: { text: "see https://127.0.0.1:1/page" } },
  ],
  [
    "a location",
    {
      type: "location",
      content: {
        location: { latitude: 52.5, longitude: -13.25, name: "Gate", address: "Street 1" },
      },
    },
    {
      locationMessage: {
        degreesLatitude: 52.5,
        degreesLongitude: -13.25,
        name: "Gate",
        address: "Street 1",
      },
    },
  ],
  [
    "a contact",
    {
      type: "contact",
      content: { contacts: [{ name: "Bo; and, Co", phones: ["+49 171 2345678"] }] },
    },
    {
      contactMessage: {
        displayName: "Bo; and, Co",
        vcard: cardOf(String.raw`Bo\; and\, Co`),
      },
    },
  ],
  [
    "several contacts, one with a card of its own",
    {
      type: "contact",
      content: {
        contacts: [
          { name: "Bo", phones: ["+491712345678"] },
          { name: "Cleo", phones: ["+491712345679"], vcard: own },
        ],
      },
    },
    {
      contactsArrayMessage: {
        displayName: "2 contacts",
        contacts: [
          { displayName: "Bo", vcard: cardOf("Bo") },
          { displayName: "Cleo", vcard: own },
        ],
      },
    },
  ],
  [
    "a poll of which one may choose one",
    pollOf(1),
    { pollCreationMessageV3: { ...asked, selectableOptionsCount: 1 } },
  ],
  [
    "a poll of which one may choose any number",
    pollOf(0),
    { pollCreationMessage: { ...asked, selectableOptionsCount: 0 } },
  ],
];

type Facts = { seconds?: number; width?: number; height?: number };
type File = {
  type: MessageType;
  mimeType: string;
  fileName?: string;
  text?: string;
  facts?: Facts;
  isViewOnce?: true;
};
const size = { width: 640, height: 480 };
/** What is kept of a file, and the protocol's form of it without where it is and its keys. */
const FILES: [string, File, string, Record<string, unknown>][] = [
  [
    "an image",
    { type: "image", mimeType: "image/jpeg", text: "look", facts: size },
    "imageMessage",
    { mimetype: "image/jpeg", caption: "look", ...size, jpegThumbnail: "" },
  ],
  [
    "an image that is shown once",
    { type: "image", mimeType: "image/png", isViewOnce: true },
    "imageMessage",
    { mimetype: "image/png", viewOnce: true, jpegThumbnail: "" },
  ],
  [
    "a video",
    { type: "video", mimeType: "video/mp4", text: "watch", facts: size },
    "videoMessage",
    { mimetype: "video/mp4", caption: "watch", ...size, jpegThumbnail: "" },
  ],
  [
    "a voice message",
    { type: "voice", mimeType: "audio/ogg", facts: { seconds: 3 } },
    "audioMessage",
    { mimetype: "audio/ogg; codecs=opus", ptt: true, seconds: 3 },
  ],
  [
    "a sound file",
    { type: "audio", mimeType: "audio/mpeg", facts: { seconds: 5 } },
    "audioMessage",
    { mimetype: "audio/mpeg", seconds: 5 },
  ],
  [
    "a document",
    { type: "document", mimeType: "application/pdf", fileName: "bill.pdf", text: "yours" },
    "documentMessage",
    { mimetype: "application/pdf", fileName: "bill.pdf", caption: "yours" },
  ],
  [
    "a sticker",
    { type: "sticker", mimeType: "image/webp" },
    "stickerMessage",
    { mimetype: "image/webp" },
  ],
];

/** A file in the store with its row, as the gateway leaves it. */
async function stored({ type, mimeType, fileName, facts }: File, bytes: Buffer) {
  const { companyNo, numberNo } = one.number;
  const id = newMediaId();
  const put = await room.media.put({ companyNo, mediaId: id }, [bytes], { maxBytes: 2 ** 24 });
  const media = { mimeType, fileName: fileName ?? null, bytes: put.bytes, sha256: put.sha256 };
  const { location } = put;
  await withCompany(room.app, companyNo, (tx) =>
    insertMedia(tx, { ...media, mediaId: id, companyNo, numberNo, kind: type, location }),
  );
  return { ...media, id, ...facts };
}

/** What differs from one sending to the next; all of it is needed to open the file. */
const MADE = new Set(["url", "mediaKey", "fileEncSha256", "mediaKeyTimestamp"]);

for (const name of ["a person", "a group"]) {
  describe(`to ${name}`, () => {
    for (const [what, input, expected] of PLAIN) {
      it(what, async () => {
        const { message } = await judge(placeOf(name), input, () => expected);
        if (input.type !== "poll") return;
        assert.equal(message.messageContextInfo?.messageSecret?.length, 32);
      });
    }

    for (const [what, file, kind, expected] of FILES) {
      it(`${what}, and its bytes`, async () => {
        const { type, text = null, isViewOnce } = file;
        const place = placeOf(name);
        const bytes = randomBytes(50_000);
        const media = await stored(file, bytes);
        const content = { media, ...(isViewOnce ? { isViewOnce } : {}) };
        const { providerMessageId } = await judge(place, { type, text, content }, (message) => {
          const { viewOnceMessage } = message;
          const form = plain(viewOnceMessage?.message ?? message)[kind] as Record<string, unknown>;
          assert.equal(Boolean(viewOnceMessage), isViewOnce === true);
          const made = Object.entries(form).filter(([each]) => MADE.has(each));
          const fileSha256 = createHash("sha256").update(bytes).digest("base64");
          const fileLength = bytes.length;
          const facts = { fileSha256, fileLength, ...Object.fromEntries(made) };
          const whole = { [kind]: { ...expected, ...facts } };
          return isViewOnce ? { viewOnceMessage: { message: whole } } : whole;
        });
        for (const reader of place.readers) {
          assert.deepEqual(reader.file(providerMessageId), bytes);
        }
      });
    }

    it("a reply, with and without a file, also to a message of our own", async () => {
      const place = placeOf(name);
      const { theirs, writer } = place;
      const contextId = theirs.messageId;
      const answered = (message: proto.IMessage) => {
        const { quotedMessage, ...context } = contextOf(message);
        assert.ok(quotedMessage);
        return context;
      };
      const about = { stanzaId: theirs.providerMessageId, participant: writer };
      const { message, messageId, providerMessageId } = await judge(
        place,
        { text: "rde", contextId },
        (each) => ({ extendedTextMessage: { text: "rde", contextInfo: contextOf(each) } }),
      );
      assert.deepEqual(answered(message), about);
      const media = await stored({ type: "sticker", mimeType: "image/webp" }, randomBytes(100));
      const input = { type: "sticker", contextId, content: { media } } as const;
      const sticker = await judge(place, input, plain);
      assert.deepEqual(answered(sticker.message), about);
      const again = await judge(place, { text: "see above", contextId: messageId }, plain);
      const { account } = room.simulator.server.phone(one.phone);
      const ours = {
        stanzaId: providerMessageId,
        participant: answered(again.message)["participant"],
      };
      assert.deepEqual(answered(again.message), ours);
      assert.match(String(ours.participant), new RegExp(`^(${account.lid}@lid|${account.phone}@)`));
    });

    it("a reaction and its end, an edit, a deletion", async () => {
      const place = placeOf(name);
      const { theirs, jid, participant } = place;
      const key = {
        remoteJid: jid,
        fromMe: false,
        id: theirs.providerMessageId,
        ...(participant === undefined ? {} : { participant }),
      };
      for (const emoji of ["👍🏽", null]) {
        const input = {
          type: "reaction",
          contextId: theirs.messageId,
          content: { emoji },
        } as const;
        await judge(place, input, ({ reactionMessage }) => {
          const { senderTimestampMs } = reactionMessage ?? {};
          const at = Number(senderTimestampMs);
          return { reactionMessage: { key, text: emoji ?? "", senderTimestampMs: at } };
        });
      }
      const first = await judge(place, { text: "rde" }, () => ({
        extendedTextMessage: { text: "rde" },
      }));
      const mine = { remoteJid: jid, fromMe: true, id: first.providerMessageId };
      const contextId = first.messageId;
      await judge(place, { type: "edit", text: "red", contextId }, ({ protocolMessage }) => ({
        protocolMessage: {
          key: mine,
          type: proto.Message.ProtocolMessage.Type.MESSAGE_EDIT,
          editedMessage: { extendedTextMessage: { text: "red" } },
          timestampMs: Number(protocolMessage?.timestampMs),
        },
      }));
      await judge(place, { type: "delete", contextId }, () => ({
        protocolMessage: { key: mine, type: proto.Message.ProtocolMessage.Type.REVOKE },
      }));
    });

    it("what was read is known to its writer, and typing is seen", async () => {
      const { server } = room.simulator;
      const { theirs, jid, participant } = placeOf(name);
      const isGroup = participant !== undefined;
      const lid = (isGroup ? participant : jid).split("@")[0] ?? null;
      const chat = { phone: null, lid: isGroup ? null : lid, groupId: isGroup ? jid : null };
      const { providerMessageId } = theirs;
      const messages = [{ providerMessageId, phone: null, lid }];
      const read = await room.command(one.number, "mark_read", { chat, messages });
      assert.equal(read.state, "done");
      const sent = placeOf(name).readers.flatMap((reader) => reader.sent);
      const seen = sent.find(({ id }) => id === providerMessageId);
      await until(
        () => seen?.receipts.some(({ type, from }) => type === "read" && from === one.phone),
        { label: "read" },
      );
      for (const [state, tag, media] of [
        ["typing", "composing", undefined],
        ["recording", "composing", "audio"],
        ["paused", "paused", undefined],
      ] as const) {
        const shown = server.events.once("presence", ({ stanza }) => stanza.tag === "chatstate");
        const command = await room.command(one.number, "show_typing", { chat, state });
        assert.equal(command.state, "done");
        const { stanza } = await shown;
        assert.equal(stanza.attrs["to"], jid);
        const [child] = Array.isArray(stanza.content) ? stanza.content : [];
        assert.deepEqual([child?.tag, child?.attrs["media"]], [tag, media]);
      }
    });
  });
}

/** What a message says about the one it answers. */
function contextOf(message: proto.IMessage): Record<string, unknown> {
  for (const part of Object.values(plain(message))) {
    if (typeof part === "object" && part !== null && "contextInfo" in part) {
      return part.contextInfo as Record<string, unknown>;
    }
  }
  return {};
}
