/** The kinds of messages: what each says, in our words. Both dialects name them as WhatsApp's web client does. */
import type { MessageContent, MessageType } from "../message.ts";
import { type Json, isObject, keptOf, listOf, numberOf, objectOf, textOf } from "../meta/json.ts";
import { messageIdOf } from "./address.ts";
import type { WppQr } from "./types.ts";
import { lookUp } from "./look-up.ts";

const KINDS: Readonly<Record<string, MessageType>> = {
  chat: "text",
  text: "text",
  conversation: "text",
  image: "image",
  video: "video",
  gif: "video",
  ptv: "video",
  audio: "audio",
  ptt: "voice",
  voice: "voice",
  document: "document",
  sticker: "sticker",
  location: "location",
  vcard: "contact",
  multi_vcard: "contact",
  contact: "contact",
  poll_creation: "poll",
  list_response: "list_reply",
  buttons_response: "button_reply",
  template_button_reply: "button_reply",
};

/** Of WhatsApp's own book-keeping nothing is told. A message that cannot be read (yet) comes again when it can. */
const SILENT = new Set([
  "revoked",
  "gp2",
  "e2e_notification",
  "call_log",
  "ciphertext",
  "notification",
  "notification_template",
  "broadcast_notification",
  "newsletter_notification",
  "protocol",
  "keep_in_chat",
  "pin_message",
  "album",
  "debug",
  "reaction",
  "poll_update",
]);

export function isSilentKind(word: string | null): boolean {
  return word !== null && SILENT.has(word.toLowerCase());
}

/** Undefined: no kind we have a shape for. `file` and what comes without a word is told by its MIME type. */
export function kindOf(word: string | null, mimeType: string | null): MessageType | undefined {
  if (word === null || word === "file") return mimeType === null ? undefined : kindOfFile(mimeType);
  return lookUp(KINDS, word.toLowerCase());
}

function kindOfFile(mimeType: string): MessageType {
  const [family] = mimeType.toLowerCase().split("/");
  return family === "image" || family === "video" || family === "audio" ? family : "document";
}

export const FILE_KINDS: ReadonlySet<MessageType> = new Set([
  "image",
  "video",
  "audio",
  "voice",
  "document",
  "sticker",
]);

const USUAL_MIME: Partial<Record<MessageType, string>> = {
  image: "image/jpeg",
  video: "video/mp4",
  audio: "audio/mpeg",
  voice: "audio/ogg",
  sticker: "image/webp",
};

export function usualMimeType(type: MessageType): string {
  return USUAL_MIME[type] ?? "application/octet-stream";
}

const ORIGINAL_LENGTH = 16_384;

/** What only some kinds have. `message` must not hold a file: what is not understood is kept as it came. */
export function contentOf(type: MessageType, message: Json): MessageContent {
  const forwarded = message["isForwarded"] === true ? { isForwarded: true } : {};
  const viewOnce = message["isViewOnce"] === true ? { isViewOnce: true } : {};
  return { ...CONTENTS[type]?.(message), ...forwarded, ...viewOnce };
}

const CONTENTS: Partial<Record<MessageType, (message: Json) => MessageContent>> = {
  location: locationOf,
  contact: (message) => ({ contacts: cardsOf(message) }),
  poll: (message) => ({ poll: pollOf(message) }),
  list_reply: (message) => ({ selection: selectionOf(message) }),
  button_reply: (message) => ({ selection: selectionOf(message) }),
  unsupported: originalOf,
};

function originalOf({ body: _body, content: _content, ...rest }: Json): MessageContent {
  const { value, text } = keptOf(rest);
  return text !== undefined && text.length <= ORIGINAL_LENGTH ? { original: value } : {};
}

/** The text of a kind that has its text elsewhere than in `body` or `caption`. */
export function ownText(type: MessageType, message: Json): string | null {
  const read = TEXTS[type];
  if (read) return read(message);
  return textOf(message["body"]) ?? textOf(message["content"]) ?? textOf(message["text"]);
}

const TEXTS: Partial<Record<MessageType, (message: Json) => string | null>> = {
  location: (message) => textOf(message["loc"]) ?? textOf(message["caption"]),
  contact: (message) =>
    textOf(message["vcardFormattedName"]) ?? (cardsOf(message)[0]?.name || null),
  poll: (message) => textOf(message["pollName"]) ?? textOf(message["body"]),
  list_reply: (message) => selectionOf(message).title || null,
  button_reply: (message) => selectionOf(message).title || null,
};

function locationOf(message: Json): MessageContent {
  const latitude = numberOf(message["lat"] ?? message["latitude"]);
  const longitude = numberOf(message["lng"] ?? message["longitude"]);
  if (latitude === undefined || longitude === undefined) return {};
  if (Math.abs(latitude) > 90 || Math.abs(longitude) > 180) return {};
  const [name, ...rest] = (textOf(message["loc"]) ?? "").split("\n");
  return {
    location: {
      latitude,
      longitude,
      ...(name ? { name } : {}),
      ...(rest.length > 0 ? { address: rest.join("\n") } : {}),
      ...(message["isLive"] === true ? { isLive: true } : {}),
    },
  };
}

type Card = { name: string; phones: string[]; vcard?: string };

function cardsOf(message: Json): Card[] {
  const list = listOf(message["vcardList"]);
  if (list.length > 0) {
    return list.map((one) => {
      const card = objectOf(one);
      return cardOf(textOf(card["vcard"]), textOf(card["displayName"]));
    });
  }
  const formatted = textOf(message["vcardFormattedName"]);
  const body = textOf(message["body"]) ?? textOf(message["content"]);
  return body === null && formatted === null ? [] : [cardOf(body, formatted)];
}

function cardOf(vcard: string | null, name: string | null): Card {
  const lines = (vcard ?? "").split(/\r?\n/);
  const written = lines.find((line) => /^(item\d+\.)?FN[:;]/i.test(line));
  const phones = lines.flatMap((line) => /^(?:item\d+\.)?TEL[^:]*:(.+)$/i.exec(line)?.[1] ?? []);
  return {
    name: name ?? written?.slice(written.indexOf(":") + 1).trim() ?? "",
    phones: phones.map((phone) => phone.trim()),
    ...(vcard === null ? {} : { vcard }),
  };
}

function pollOf(message: Json): { name: string; options: string[]; selectable: number } {
  const selectable = numberOf(message["pollSelectableOptionsCount"]) ?? 0;
  return {
    name: textOf(message["pollName"]) ?? textOf(message["body"]) ?? "",
    options: optionNames(message["pollOptions"]),
    selectable: Number.isInteger(selectable) && selectable > 0 ? selectable : 0,
  };
}

/** Options are names, or objects that have one. */
export function optionNames(value: unknown): string[] {
  return listOf(value).flatMap((one) => {
    const name = isObject(one) ? (textOf(one["name"]) ?? textOf(one["optionName"])) : textOf(one);
    return name === null ? [] : [name];
  });
}

function selectionOf(message: Json): { id: string; title: string } {
  const list = objectOf(message["listResponse"]);
  const row = objectOf(list["singleSelectReply"]);
  const title =
    textOf(message["body"]) ?? textOf(list["title"]) ?? textOf(message["content"]) ?? "";
  const id =
    textOf(row["selectedRowId"]) ??
    textOf(message["selectedRowId"]) ??
    textOf(message["selectedButtonId"]) ??
    textOf(message["selectedId"]);
  return { id: id ?? title, title };
}

/** The message that is answered. */
export function contextOf(message: Json): { providerMessageId: string } | null {
  const { id } = messageIdOf(message["quotedMsgId"] ?? message["quotedMessageId"]);
  const quoted = id ?? textOf(message["quotedStanzaID"]);
  return quoted === null ? null : { providerMessageId: quoted };
}

/** The base64 of a file, as it is or as a data URL, with line ends or without; null: it is nothing of the kind. */
export function base64In(value: unknown): string | null {
  const text = textOf(value)?.replace(/^data:[^,]{0,200};base64,/i, "") ?? "";
  const bare = /\s/.test(text) ? text.replaceAll(/\s+/g, "") : text;
  return /^[A-Za-z0-9+/_-]+={0,2}$/.test(bare) ? bare : null;
}

/** So many bytes a base64 text stands for. */
export function bytesOfBase64(base64: string): number {
  const padding = base64.endsWith("==") ? 2 : base64.endsWith("=") ? 1 : 0;
  return Math.max(0, Math.floor((base64.length * 3) / 4) - padding);
}

/** A base64 PNG begins so. */
const PNG_START = "iVBOR";

/** A QR in whichever form: a picture as data URL or bare base64, or the text that is to be drawn. Null: there is none. */
export function readWppQr(value: unknown): WppQr | null {
  const text = textOf(value)?.trim() ?? "";
  if (text === "") return null;
  if (/^data:image\//i.test(text)) return { image: text };
  return text.startsWith(PNG_START) ? { image: `data:image/png;base64,${text}` } : { text };
}
