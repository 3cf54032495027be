/** What we send, as the library wants it. */
import type { Readable } from "node:stream";
import type { MessageContent } from "@manyline/contracts";
import type { Send, SendContext } from "@manyline/db";
import type {
  AnyMessageContent,
  MiscMessageGenerationOptions,
  proto,
  WAMessage,
  WAMessageKey,
} from "@whiskeysockets/baileys";
import { ownPollSecret } from "../poll-secret.ts";
import type { Address } from "./address.ts";

type Card = NonNullable<MessageContent["contacts"]>[number];

/** How the stanza is marked besides its content. */
export type Marks = {
  attributes: Record<string, string>;
  nodes: { tag: string; attrs: Record<string, string> }[];
};

export type Contents = {
  content: AnyMessageContent;
  options: Pick<MiscMessageGenerationOptions, "quoted">;
  marks: Marks;
};

/** Who the number is, for what carries its own address or a secret of its own. */
export type Self = { secret: Uint8Array };

/** A send lacks what its kind needs. */
export class UnwritableError extends Error {}

/** `file`: what the message carries. */
export function contentsOf(
  send: Send,
  { jid, phoneJid }: Address,
  self: Self,
  file: Readable | undefined,
): Contents {
  const { context, ...content } = send.content ?? {};
  const attributes: Record<string, string> =
    phoneJid === undefined ? {} : { peer_recipient_pn: phoneJid };
  const plain = (message: AnyMessageContent): Contents => ({
    content: message,
    options: context ? { quoted: quotedOf(jid, context) } : {},
    marks: { attributes, nodes: [] },
  });
  const target = (): WAMessageKey => {
    if (!context) throw new UnwritableError("a change of nothing");
    return keyOf(jid, context);
  };
  const change = (message: AnyMessageContent, edit?: string): Contents => ({
    content: message,
    options: {},
    marks: { attributes: edit === undefined ? attributes : { ...attributes, edit }, nodes: [] },
  });
  const text = send.text ?? "";
  switch (send.type) {
    case "text":
      // The library would fetch whatever address stands in the text.
      return plain({ text, linkPreview: null });
    case "location": {
      const { location } = content;
      if (!location) throw new UnwritableError("a location without a place");
      const { latitude, longitude, name, address } = location;
      const place: proto.Message.ILocationMessage = {
        degreesLatitude: latitude,
        degreesLongitude: longitude,
        ...(name === undefined ? {} : { name }),
        ...(address === undefined ? {} : { address }),
      };
      return plain({ location: place });
    }
    case "contact": {
      const cards = content.contacts ?? [];
      const [first] = cards;
      if (!first) throw new UnwritableError("no card");
      const contacts = cards.map((card) => ({ displayName: card.name, vcard: vcardOf(card) }));
      const displayName = cards.length === 1 ? first.name : `${cards.length} contacts`;
      return plain({ contacts: { displayName, contacts } });
    }
    case "poll": {
      const { poll } = content;
      if (!poll) throw new UnwritableError("a poll without a question");
      const { name, options: values, selectable: selectableCount } = poll;
      const messageSecret = ownPollSecret(self.secret, send.providerMessageId);
      const made = plain({ poll: { name, values, selectableCount, messageSecret } });
      made.marks.nodes.push({ tag: "meta", attrs: { polltype: "creation" } });
      return made;
    }
    case "reaction":
      return change({ react: { text: content.emoji ?? "", key: target() } });
    case "edit":
      return change({ text, edit: target(), linkPreview: null }, "1");
    case "delete": {
      const key = target();
      // Somebody else's message is deleted as an admin of the group.
      return change({ delete: key }, key.fromMe === true ? "7" : "8");
    }
    case "image":
    case "video":
    case "voice":
    case "audio":
    case "document":
    case "sticker":
      return plain(mediaOf(send, send.type, text, file));
    case "poll_vote":
    case "button_reply":
    case "list_reply":
    case "flow_reply":
    case "order":
    case "call_permission":
    case "template":
    case "interactive":
    case "system":
    case "welcome":
    case "unsupported":
    case "unknown":
      throw new UnwritableError(`nobody sends ${send.type}`);
  }
}

type FileKind = "image" | "video" | "voice" | "audio" | "document" | "sticker";

function mediaOf(
  { content }: Send,
  kind: FileKind,
  text: string,
  file: Readable | undefined,
): AnyMessageContent {
  const media = content?.media;
  if (!media || !file) throw new UnwritableError("no file");
  const upload = { stream: file };
  const { mimeType: mimetype, fileName, width, height, seconds } = media;
  const caption = text === "" ? {} : { caption: text };
  const size = width === undefined || height === undefined ? {} : { width, height };
  const length = seconds === undefined ? {} : { seconds };
  const viewOnce = content.isViewOnce === true ? { viewOnce: true } : {};
  // An empty thumbnail keeps the library from looking for an image library.
  const jpegThumbnail = "";
  switch (kind) {
    case "image":
      return { image: upload, mimetype, jpegThumbnail, ...caption, ...size, ...viewOnce };
    case "video":
      return { video: upload, mimetype, jpegThumbnail, ...caption, ...size, ...viewOnce };
    case "voice":
      return {
        audio: upload,
        // Phones play a recording only under its full name.
        mimetype: mimetype === "audio/ogg" ? "audio/ogg; codecs=opus" : mimetype,
        ptt: true,
        seconds: seconds ?? 1,
        ...viewOnce,
      };
    case "audio":
      return { audio: upload, mimetype, seconds: seconds ?? 1, ...length };
    case "document":
      return { document: upload, mimetype, fileName: fileName ?? "file", ...caption };
    case "sticker":
      return { sticker: upload, mimetype, ...size };
  }
}

/** The key by which a message of this chat is named. */
function keyOf(jid: string, context: SendContext): WAMessageKey {
  const participant = context.isOwn || !isGroup(jid) ? undefined : authorOf(context);
  return {
    remoteJid: jid,
    fromMe: context.isOwn,
    id: context.providerMessageId,
    ...(participant === undefined ? {} : { participant }),
  };
}

const isGroup = (jid: string): boolean => jid.endsWith("@g.us");

function authorOf({ lid, phone }: SendContext): string | undefined {
  if (lid !== null) return `${lid}@lid`;
  return phone === null ? undefined : `${phone}@s.whatsapp.net`;
}

/** The answered message as far as it is known; phones show their own copy of it. */
function quotedOf(jid: string, context: SendContext): WAMessage {
  return { key: keyOf(jid, context), message: { conversation: context.text ?? "" } };
}

function vcardOf({ name, phones, vcard }: Card): string {
  if (vcard !== undefined) return vcard;
  const clean = (text: string): string => text.replaceAll(/[\r\n]+/g, " ");
  const escaped = clean(name).replaceAll(/[\\,;]/g, String.raw`\$&`);
  const numbers = phones.map((phone) => {
    const digits = phone.replaceAll(/\D/g, "");
    return `TEL;type=CELL;type=VOICE;waid=${digits}:+${digits}`;
  });
  return [
    "BEGIN:VCARD",
    "VERSION:3.0",
    `N:;${escaped};;;`,
    `FN:${escaped}`,
    ...numbers,
    "END:VCARD",
  ].join("\n");
}
