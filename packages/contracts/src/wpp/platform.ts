/** The dialect of the WPP Platform. */
import type { MessageType } from "../message.ts";
import { timeOf } from "../meta/facts.ts";
import { type Json, isObject, listOf, objectOf, textOf } from "../meta/json.ts";
import {
  addressOf,
  firstAddress,
  firstKnown,
  firstPerson,
  messageIdOf,
  partyText,
  personAt,
} from "./address.ts";
import {
  base64In,
  bytesOfBase64,
  contentOf,
  contextOf,
  FILE_KINDS,
  isSilentKind,
  kindOf,
  ownText,
  readWppQr,
  usualMimeType,
} from "./kinds.ts";
import { factType, stateOf } from "./states.ts";
import type {
  WppChat,
  WppEventName,
  WppFacts,
  WppInput,
  WppItem,
  WppMedia,
  WppMessageInput,
} from "./types.ts";
import { lookUp } from "./look-up.ts";

/** Names under which a message of any kind comes; its own `type` may tell which. */
const MESSAGE_NAMES = new Set([
  "message.incoming",
  "message.received",
  "message",
  "message_in",
  "messages.upsert",
]);
const STATUS_NAMES = new Set(["delivery", "message.status", "message_status", "messages.update"]);
/** Names that say what became of the message they name. */
const STATUS_WORDS: Readonly<Record<string, string>> = {
  "message.sent": "sent",
  "message.delivered": "delivered",
  "message.read": "read",
  "message.failed": "failed",
  "message.dead": "failed",
};
type SessionFacts = { event: WppEventName; type: string };
const SESSION_NAMES: Readonly<Record<string, SessionFacts>> = {
  qr: { event: "session.qr", type: "qr" },
  connected: { event: "session.connected", type: "connected" },
  ready: { event: "session.connected", type: "connected" },
  "session.connected": { event: "session.connected", type: "connected" },
  offline: { event: "session.disconnected", type: "disconnected" },
  disconnected: { event: "session.disconnected", type: "disconnected" },
  "session.disconnected": { event: "session.disconnected", type: "disconnected" },
  logout: { event: "session.disconnected", type: "logged_out" },
};

export type WppPlatformOptions = {
  /** `account` of the webhook's own URL; counts where the body names none. */
  account?: string | undefined;
  /** Stands in for times that are missing or unreadable. */
  now: Date;
};

/**
 * Reads a webhook of the WPP Platform: the account at the root or in `data`, the name in `type` or `event`, the
 * content flat or in `data`; a `data` that is a list gives as many items. Pure and total: nothing is thrown and
 * nothing left out, whatever the JSON is.
 */
export function normaliseWppPlatform(body: unknown, options: WppPlatformOptions): WppItem[] {
  if (Array.isArray(body) && body.length > 0)
    return body.flatMap((one) => readRoot(objectOf(one), options));
  return readRoot(objectOf(body), options);
}

function readRoot(root: Json, options: WppPlatformOptions): WppItem[] {
  const { data } = root;
  const parts = Array.isArray(data) && data.length > 0 ? listOf(data) : [data];
  return parts.map((part) => readPiece(root, isObject(part) ? part : undefined, options));
}

/** What a piece says: its content is in `data`, or else in the root. */
type Piece = { root: Json; content: Json; isWrapped: boolean; name: string; now: Date };

function readPiece(root: Json, data: Json | undefined, options: WppPlatformOptions): WppItem {
  const { now } = options;
  const session =
    textOf(root["account"]) ?? textOf(objectOf(data)["account"]) ?? textOf(options.account);
  const name = nameOf(root);
  const hasData = data !== undefined && Object.keys(data).length > 0;
  // What has its sender at the root is flat, whatever else is beside it.
  const isWrapped = hasData && root["from"] === undefined && root["raw_from"] === undefined;
  const piece: Piece = { root, content: isWrapped ? data : root, isWrapped, name, now };
  const { facts, input } = readNamed(piece);
  const whole: WppFacts = { platform: "wpp_platform", session, ...facts };
  if (session !== null) return { facts: whole, input };
  return { facts: { ...whole, event: "unroutable" }, input: null };
}

function nameOf(root: Json): string {
  const name = textOf(root["type"]) ?? textOf(root["event"]);
  if (name !== null) return name;
  const hasWords = ["text", "body", "media"].some((key) => root[key] !== undefined);
  return hasWords && (root["from"] ?? root["raw_from"]) !== undefined
    ? "message.incoming"
    : "unknown";
}

type Read = { facts: Omit<WppFacts, "platform" | "session">; input: WppInput | null };

function readNamed(piece: Piece): Read {
  const { name } = piece;
  const word = name.toLowerCase();
  const session = lookUp(SESSION_NAMES, word);
  if (session) return readSession(piece, session);
  if (STATUS_NAMES.has(word)) return readStatus(piece, textOf(piece.content["status"]));
  const state = lookUp(STATUS_WORDS, word);
  if (state !== undefined) return readStatus(piece, state);
  const isMessage = MESSAGE_NAMES.has(word) || (kindOf(word, "") !== undefined && says(piece));
  return isMessage ? readMessage(piece) : ignored(name);
}

/** `qr` and the like are events; a kind of message is one only where somebody says something. */
function says({ content }: Piece): boolean {
  return (content["from"] ?? content["raw_from"] ?? content["to"]) !== undefined;
}

function ignored(type: string): Read {
  return {
    facts: { event: "ignored", messageId: null, from: null, type, text: null },
    input: null,
  };
}

function timeOfPiece({ root, content, now }: Piece): Date {
  const { timestamp } = content;
  return timeOf(timestamp ?? content["created"] ?? root["timestamp"] ?? root["created"], now);
}

function readSession(piece: Piece, { event, type }: SessionFacts): Read {
  const at = timeOfPiece(piece);
  const facts = { event, messageId: null, from: null, type, text: null };
  if (event === "session.connected")
    return { facts, input: { kind: "session", event: "connected", at } };
  if (event === "session.disconnected") {
    const reason = type === "logged_out" ? "logged_out" : "disconnected";
    return { facts, input: { kind: "session", event: "disconnected", reason, at } };
  }
  const { content, root } = piece;
  const qr = [content, root]
    .flatMap((part) => [part["qr"], part["qrcode"], part["qrCode"]])
    .find((one) => textOf(one) !== null);
  return { facts, input: { kind: "session", event: "qr", qr: readWppQr(qr), at } };
}

function readStatus(piece: Piece, word: string | null): Read {
  const { root, content, isWrapped } = piece;
  // The id of an envelope is of the event, not of the message.
  const own = (key: string): string | null =>
    messageIdOf(content[key] ?? (isWrapped && key === "id" ? undefined : root[key])).id;
  const messageId = own("taskId") ?? own("messageId") ?? own("id") ?? own("waMessageId");
  const state = stateOf(word ?? textOf(root["status"]));
  if (state === undefined || messageId === null) {
    const type = word ?? textOf(root["status"]) ?? piece.name;
    return { facts: { event: "ignored", messageId, from: null, type, text: null }, input: null };
  }
  const whatsapp = own("waMessageId");
  const reason =
    textOf(content["reason"]) ?? textOf(content["error"]) ?? textOf(content["message"]) ?? "";
  const title = reason.slice(0, 500);
  return {
    facts: { event: "message.status", messageId, from: null, type: factType(state), text: null },
    input: {
      kind: "status",
      providerMessageId: messageId,
      whatsappMessageId: whatsapp === messageId ? null : whatsapp,
      state,
      recipient:
        personAt(firstPerson(addressOf(content["to"]), messageIdOf(whatsapp ?? messageId).chat)) ??
        {},
      at: timeOfPiece(piece),
      error: state === "failed" ? { code: "wpp_failed", title } : null,
    },
  };
}

function readMessage(piece: Piece): Read {
  const { content, name, isWrapped, root } = piece;
  const ids = messageIdOf(
    content["messageId"] ?? content["id"] ?? (isWrapped ? root["messageId"] : undefined),
  );
  const media = objectOf(content["media"]);
  const hasMedia = textOf(media["url"]) !== null || textOf(media["base64"]) !== null;
  const word = kindWord(piece);
  const mimeType = textOf(media["mimetype"]) ?? textOf(media["mimeType"]);
  const known = kindOf(word, hasMedia ? (mimeType ?? "") : mimeType);
  const type: MessageType =
    known ?? (word === null ? "text" : word === "file" ? "document" : "unsupported");
  const isOwn =
    content["fromMe"] === true || (content["fromMe"] === undefined && ids.isOwn === true);
  const who = whoOf(content, ids, isOwn);
  const text = textOfMessage(content, type, hasMedia);
  const facts = {
    event: isOwn ? ("message.outgoing" as const) : ("message.received" as const),
    messageId: ids.id,
    from: who.party,
    type: type === "unsupported" ? (word ?? name) : factType(type),
    text,
  };
  if (isSilentKind(word) || who.chat === undefined) {
    return { facts: { ...facts, event: "ignored" }, input: null };
  }
  const { media: _media, ...plain } = content;
  const input: WppMessageInput = {
    kind: "message",
    event: isOwn ? "echoed" : "received",
    providerMessageId: ids.id,
    chat: who.chat,
    from: isOwn ? null : who.person,
    at: timeOfPiece(piece),
    type,
    text,
    content: contentOf(type, plain),
    media: FILE_KINDS.has(type) ? mediaOf(media, type, mimeType, ids.id) : null,
    context: contextOf(content),
  };
  return { facts, input };
}

/** The word for the kind: of the message itself, else the event's name where that is one. */
function kindWord({ content, root, isWrapped, name }: Piece): string | null {
  const own = isWrapped ? textOf(content["type"]) : null;
  const words = [own, name, isWrapped ? null : textOf(root["event"])];
  return words.find((word) => word !== null && !MESSAGE_NAMES.has(word.toLowerCase())) ?? null;
}

function whoOf(
  content: Json,
  ids: ReturnType<typeof messageIdOf>,
  isOwn: boolean,
): {
  party: string | null;
  person: NonNullable<ReturnType<typeof personAt>>;
  chat: WppChat | undefined;
} {
  const name =
    textOf(content["pushName"]) ?? textOf(content["notifyName"]) ?? textOf(content["name"]);
  const written = firstAddress(content["raw_from"], content["from"]);
  // A chat that is not somebody's (a status, a channel) is written in raw_from only.
  const isForeign =
    textOf(content["raw_from"]) !== null && addressOf(content["raw_from"]).kind === "none";
  const isUnnamed = written.kind === "none" && isOwn && !isForeign;
  const other = isUnnamed ? firstKnown(addressOf(content["to"]), ids.chat) : written;
  if (other.kind === "group") {
    const author = firstPerson(
      firstAddress(content["author"], content["participant"]),
      ids.participant,
    );
    const person = personAt(author, name) ?? {};
    return { party: partyText(author), person, chat: { type: "group", providerChatId: other.id } };
  }
  const person = personAt(other, isOwn ? null : name);
  const chat = person && !isForeign ? ({ type: "direct", person } as const) : undefined;
  return { party: isForeign ? null : partyText(other), person: person ?? {}, chat };
}

/** Says of a file what kind it is, in front of the caption. */
const PLACEHOLDER = /^\s*\[(?:image|video|audio|document|file|sticker|voice|media|ptt)\]\s*/i;

function textOfMessage(content: Json, type: MessageType, hasMedia: boolean): string | null {
  const written = textOf(content["text"]) ?? textOf(content["body"]) ?? textOf(content["caption"]);
  if (hasMedia) return written === null ? null : written.replace(PLACEHOLDER, "") || null;
  return written ?? ownText(type, content);
}

function mediaOf(
  media: Json,
  type: MessageType,
  mimeType: string | null,
  messageId: string | null,
): WppMedia | null {
  const [url, base64] = [textOf(media["url"]), base64In(media["base64"])];
  const fileName = textOf(media["filename"]) ?? textOf(media["fileName"]);
  const facts = {
    mimeType: mimeType ?? usualMimeType(type),
    // What has no name is called so.
    fileName: fileName === "file" ? null : fileName,
  };
  if (base64 !== null) return { ...facts, bytes: bytesOfBase64(base64), source: { base64 } };
  if (url !== null) return { ...facts, bytes: null, source: { url } };
  return messageId === null ? null : { ...facts, bytes: null, source: { messageId } };
}
