/** What WPP servers tell, in the form in which everything that comes in is stored. */
import { createHash } from "node:crypto";
import {
  type MediaId,
  type WppCallInput,
  type WppChangeInput,
  wppDedupeKey,
  type WppInput,
  type WppItem,
  type WppMessageInput,
  type WppPerson,
  type WppStatusInput,
} from "@manyline/contracts";
import type { ChatInput, InboundItem, MediaInput, PersonInput } from "./inbound-items.ts";
import type { NoticePiece, StatusPiece } from "./ingest-routes.ts";

/** Where a file lies that came as base64, by the input it came with. */
export type StoredFile = {
  mediaId: MediaId;
  location: string;
  bytes: number;
  /** Base64. */
  sha256: string;
};
export type StoredFiles = ReadonlyMap<WppInput, StoredFile>;

const NO_FILES: StoredFiles = new Map();

/** What a message is called that its server gave no id. */
const NAMELESS = "unnamed_";

/**
 * The messages, changes and reactions among them as `commitInbound` takes them, `files` being the bytes that came
 * along, which are stored already: without theirs, base64 is left out. `arrivedAt` tells messages without an id apart.
 */
export function wppInboundItems(
  items: readonly WppItem[],
  arrivedAt: Date,
  files: StoredFiles = NO_FILES,
): InboundItem[] {
  return items.flatMap((item): InboundItem[] => {
    const { input } = item;
    if (input?.kind === "message") return [messageOf(item, input, arrivedAt, files.get(input))];
    if (input?.kind === "reaction" || input?.kind === "delete") {
      return [changeOf(item, input, arrivedAt)];
    }
    return [];
  });
}

function messageOf(
  item: WppItem,
  input: WppMessageInput,
  arrivedAt: Date,
  file: StoredFile | undefined,
): InboundItem {
  const { event, chat, from, at, type, text, content, context } = input;
  return {
    kind: "message",
    event,
    providerMessageId: input.providerMessageId ?? namelessId(item, arrivedAt),
    chat: chatOf(chat),
    from: from && personIn(from, chat),
    at,
    type,
    text,
    content,
    media: mediaOf(input, file),
    context,
  };
}

function namelessId(item: WppItem, arrivedAt: Date): string {
  const hash = createHash("sha256").update(wppDedupeKey(item, arrivedAt)).digest("hex");
  return `${NAMELESS}${hash.slice(0, 32)}`;
}

/** Without its bytes a file may still be had from the server, by the id of its message. */
function mediaOf(input: WppMessageInput, file: StoredFile | undefined): MediaInput | null {
  const { media, providerMessageId } = input;
  if (!media) return null;
  const { mimeType, bytes, fileName, source } = media;
  const facts = { mimeType, bytes, fileName, sha256: null };
  const byId = providerMessageId === null ? null : { messageId: providerMessageId };
  if (file) {
    const { mediaId, location, bytes: size, sha256 } = file;
    const place = { mediaId, location };
    return { ...facts, bytes: size, sha256, source: sourceOf(byId), stored: place };
  }
  const left = "base64" in source ? byId : source;
  return left && { ...facts, source: sourceOf(left) };
}

const sourceOf = (source: object | null): Buffer => Buffer.from(JSON.stringify(source ?? {}));

/** Of a reaction the emoji counts as well: a server may name each by the message it is about. */
function changeOf(item: WppItem, input: WppChangeInput, arrivedAt: Date): InboundItem {
  const { chat, from, at, target, providerMessageId } = input;
  const own = providerMessageId ?? namelessId(item, arrivedAt);
  const stanza = {
    providerMessageId: own,
    chat: chatOf(chat),
    from: from && personIn(from, chat),
    at,
    target,
  };
  if (input.kind === "delete") return { ...stanza, kind: "delete", dedupe: `delete\0${target}` };
  const { emoji } = input;
  const who = from === null ? "me" : JSON.stringify([from.phone, from.lid]);
  const dedupe = ["reaction", providerMessageId ?? "", target, who, emoji ?? ""].join("\0");
  return { ...stanza, kind: "reaction", emoji, dedupe };
}

function chatOf(chat: WppMessageInput["chat"]): ChatInput {
  return chat.type === "group" ? chat : { type: "direct", person: chat.person };
}

/** Whoever wrote in a group without being named is called by the group. */
function personIn(person: WppPerson, chat: WppMessageInput["chat"]): PersonInput {
  if (isNamed(person)) return person;
  return chat.type === "group" ? { ...person, userId: chat.providerChatId } : chat.person;
}

export function isNamed({ phone, lid }: WppPerson): boolean {
  return phone !== undefined || lid !== undefined;
}

/** A message that was deleted by who sent it is no state of its sending. */
export function wppStatusOf(input: WppStatusInput): StatusPiece | undefined {
  const { providerMessageId, state, at, recipient, error } = input;
  if (state === "deleted") return undefined;
  return {
    kind: "status",
    providerMessageId,
    callbackData: null,
    state,
    at,
    recipient,
    error,
    pricing: null,
  };
}

export function wppCallOf(item: WppItem, input: WppCallInput, arrivedAt: Date): NoticePiece {
  const { callId, from, groupId, isVideo, at } = input;
  return {
    kind: "notice",
    event: "call.received",
    key: `call\0${callId ?? wppDedupeKey(item, arrivedAt)}`,
    person: isNamed(from) ? from : null,
    data: {
      provider: "wpp",
      field: "calls",
      event: "incoming",
      accountId: null,
      phoneNumberId: null,
      displayPhone: null,
      at: at.toISOString(),
      details: { callId, groupId, isVideo },
    },
  };
}
