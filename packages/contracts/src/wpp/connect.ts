/** The dialect of WPPConnect Server, also where its mapper gave the fields other names. */
import type { MessageType } from "../message.ts";
import { type Json, numberOf, objectOf, textOf } from "../meta/json.ts";
import {
  addressOf,
  firstAddress,
  firstPerson,
  messageIdOf,
  partyText,
  personAt,
} from "./address.ts";
import { readAck, readCall, readReaction, readRevoked, readVote } from "./connect-changes.ts";
import { type Read, type Reader, silent, timeIn } from "./connect-parts.ts";
import { lost, readCode, readQr, readStatusFind } from "./connect-sessions.ts";
import {
  base64In,
  bytesOfBase64,
  contentOf,
  contextOf,
  FILE_KINDS,
  isSilentKind,
  kindOf,
  ownText,
  usualMimeType,
} from "./kinds.ts";
import { factType } from "./states.ts";
import type { WppChat, WppFacts, WppItem, WppMedia, WppMessageInput, WppPerson } from "./types.ts";
import { lookUp } from "./look-up.ts";

const READERS: Readonly<Record<string, Reader>> = {
  onmessage: readMessage,
  unreadmessages: readMessage,
  onselfmessage: readMessage,
  onanymessage: readMessage,
  message: readMessage,
  onack: readAck,
  ack: readAck,
  onreactionmessage: readReaction,
  onrevokedmessage: readRevoked,
  onpollresponse: readVote,
  incomingcall: readCall,
  qrcode: readQr,
  phonecode: readCode,
  "status-find": readStatusFind,
  closesession: (_body, now) => lost("disconnected", now),
  logoutsession: (_body, now) => lost("logged_out", now),
  onpresencechanged: (body) => silent("presence", body["id"]),
  onparticipantschanged: (body) => silent("participants", body["by"]),
  onupdatelabel: () => silent("label"),
};

/**
 * Reads a webhook of WPPConnect Server. Pure and total: nothing is thrown, whatever the JSON is. `now` stands in
 * for times that are missing or unreadable.
 */
export function normaliseWppConnect(value: unknown, now: Date): WppItem {
  const body = objectOf(value);
  const session = textOf(body["session"]);
  const event = (textOf(body["event"]) ?? "unknown").replace(/^tagone-/i, "");
  const read = lookUp(READERS, event.toLowerCase()) ?? (() => silent(event));
  const { facts, input } = read(body, now);
  const whole: WppFacts = { platform: "wppconnect", session, ...facts };
  if (session !== null) return { facts: whole, input };
  return { facts: { ...whole, event: "unroutable" }, input: null };
}

/** The chat a message is in, who wrote it, and who is meant by "from". */
type Who = {
  isOwn: boolean;
  party: string | null;
  /** Undefined: a status, a channel, or nobody. */
  chat: WppChat | undefined;
  person: WppPerson | undefined;
};

function whoOf(body: Json, ids: ReturnType<typeof messageIdOf>): Who {
  const name = textOf(body["notifyName"]) ?? textOf(body["contactName"]) ?? senderName(body);
  const isSelfEvent = textOf(body["event"])?.toLowerCase() === "onselfmessage";
  const own = typeof body["fromMe"] === "boolean" ? body["fromMe"] : ids.isOwn;
  const isOwn = own ?? isSelfEvent;
  const place = isOwn
    ? [body["chatId"], body["to"], body["phone"]]
    : [body["from"], body["chatId"], body["phone"]];
  // The first that is written decides: a status and a channel are addresses of nobody.
  const written = place.find((one) => one !== undefined && one !== null && one !== "");
  const chat = written === undefined ? ids.chat : addressOf(written);
  const group = [chat, addressOf(body["chatId"]), ids.chat].find(({ kind }) => kind === "group");
  if (group?.kind === "group") {
    const sender = objectOf(body["sender"]);
    const author = firstPerson(
      firstAddress(body["author"], sender["id"]),
      ids.participant,
      addressOf(body["phone"]),
    );
    return {
      isOwn,
      party: partyText(author),
      chat: { type: "group", providerChatId: group.id },
      person: personAt(author, name) ?? {},
    };
  }
  const person = personAt(chat, isOwn ? null : name);
  return { isOwn, party: partyText(chat), chat: person && { type: "direct", person }, person };
}

function senderName(body: Json): string | null {
  const sender = objectOf(body["sender"]);
  return textOf(sender["pushname"]) ?? textOf(sender["formattedName"]);
}

function readMessage(body: Json, now: Date): Read {
  const ids = messageIdOf(body["id"]);
  const word = textOf(body["type"]);
  const mimeType = textOf(body["mimetype"]);
  const type: MessageType = kindOf(word, mimeType) ?? (word === null ? "text" : "unsupported");
  const who = whoOf(body, ids);
  const isFile = FILE_KINDS.has(type);
  const text = isFile ? textOf(body["caption"]) : ownText(type, body);
  const facts = {
    event: who.isOwn ? ("message.outgoing" as const) : ("message.received" as const),
    messageId: ids.id,
    from: who.party,
    type: type === "unsupported" && word !== null ? word : factType(type),
    text: type === "unsupported" ? null : text,
  };
  if (isSilentKind(word) || who.chat === undefined) {
    return { facts: { ...facts, event: "ignored", text: null }, input: null };
  }
  const input: WppMessageInput = {
    kind: "message",
    event: who.isOwn ? "echoed" : "received",
    providerMessageId: ids.id,
    chat: who.chat,
    from: who.isOwn ? null : (who.person ?? {}),
    at: timeIn(body, now),
    type,
    text: facts.text,
    content: contentOf(type, body),
    media: isFile ? mediaOf(body, type, mimeType, ids.id) : null,
    context: contextOf(body),
  };
  return { facts, input };
}

/** With automatic downloads the body is the whole file; with a bucket `fileUrl` says where it is. */
function mediaOf(
  body: Json,
  type: MessageType,
  mimeType: string | null,
  messageId: string | null,
): WppMedia | null {
  const size = numberOf(body["size"]);
  const facts = {
    mimeType: mimeType ?? usualMimeType(type),
    bytes: size !== undefined && Number.isInteger(size) && size >= 0 ? size : null,
    fileName: textOf(body["filename"]),
  };
  const url = textOf(body["fileUrl"]);
  if (url !== null) return { ...facts, source: { url } };
  const base64 = base64In(textOf(body["body"]) ?? body["content"]);
  if (base64 !== null) {
    return { ...facts, bytes: bytesOfBase64(base64), source: { base64 } };
  }
  return messageId === null ? null : { ...facts, source: { messageId } };
}
