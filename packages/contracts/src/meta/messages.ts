/** A message of a webhook, of whichever list: received, echoed by the number's own app, or old. */
import { errorCode, factsOf, timeOf } from "./facts.ts";
import { type Json, objectOf, textOf } from "./json.ts";
import { kindOf, saidOf, type Said } from "./kinds.ts";
import { isNobody, type People, personOf, phoneText } from "./people.ts";
import type {
  MetaChangeInput,
  MetaChat,
  MetaFacts,
  MetaMessageInput,
  MetaPerson,
  MetaSameInput,
} from "./types.ts";

/** Where a message was found. */
export type Found = {
  people: People;
  /** Of the number itself, to recognise what it wrote. */
  displayPhone: string | null;
  event: MetaMessageInput["event"];
  /** Of an old chat: the person it is with. */
  thread: string | null;
  now: Date;
};

export type ReadMessage = {
  facts: MetaFacts;
  /** Undefined: it cannot be told as a message, because it has no id or nobody it belongs to. */
  input: MetaMessageInput | MetaChangeInput | undefined;
  same: MetaSameInput | undefined;
};

export function readMessage(message: Json, found: Found): ReadMessage {
  const said = saidOf(message);
  const facts = messageFacts(message, said, found.event === "echoed" ? "echo" : "message");
  const chatted = whoOf(message, found);
  if (facts.id === null || chatted === undefined) {
    return { facts, input: undefined, same: undefined };
  }
  const at = timeOf(message["timestamp"], found.now);
  const piece = { providerMessageId: facts.id, ...chatted, at };
  // What changed an old message long ago is no news of today's: it is told as an old message of its own.
  const changed = found.event === "imported" ? undefined : changeOf(message, piece);
  if (changed) return { facts, input: changed, same: undefined };
  const { type, text, content = {}, media = null } = said;
  const event = chatted.from === null && found.event === "received" ? "echoed" : found.event;
  const context = facts.contextId === null ? null : { providerMessageId: facts.contextId };
  return {
    facts,
    input: { kind: "message", event, ...piece, type, text, content, media, context },
    same: chatted.from === null ? undefined : sameOf(said, chatted.from),
  };
}

function messageFacts(message: Json, said: Said, row: "message" | "echo"): MetaFacts {
  const isEcho = row === "echo";
  return factsOf(row, {
    type: textOf(message["type"]),
    from: textOf(message["from"]),
    fromUserId: textOf(message["from_user_id"]),
    id: textOf(message["id"]),
    text: factText(message, said),
    timestamp: textOf(message["timestamp"]),
    contextId: textOf(objectOf(message["context"])["id"]),
    recipientId: isEcho ? textOf(message["to"]) : null,
    recipientUserId: isEcho ? textOf(message["to_user_id"]) : null,
    errorCode: errorCode(message["errors"]),
  });
}

function factText(message: Json, said: Said): string | null {
  const kind = kindOf(message);
  if (kind === "reaction") return textOf(objectOf(message["reaction"])["emoji"]);
  return kind === "edit" || kind === "revoke" ? null : said.text;
}

/** The chat and the author; undefined when the webhook names nobody. */
function whoOf(
  message: Json,
  { people, displayPhone, event, thread }: Found,
): { chat: MetaChat; from: MetaPerson | null } | undefined {
  const groupId = textOf(message["group_id"]) ?? textOf(objectOf(message["context"])["group_id"]);
  const from = phoneText(message["from"]);
  const isOwn =
    event === "echoed" ||
    (event === "imported" &&
      (message["to"] !== undefined || (from !== null && from === displayPhone)));
  const other = isOwn
    ? people.person(message["to"] ?? thread, message["to_user_id"])
    : people.person(message["from"] ?? thread, message["from_user_id"]);
  if (groupId !== null) {
    if (!isOwn && isNobody(other)) return undefined;
    return { chat: { type: "group", providerChatId: groupId }, from: isOwn ? null : other };
  }
  if (isNobody(other)) return undefined;
  return { chat: { type: "direct", person: other }, from: isOwn ? null : other };
}

type Piece = Pick<MetaChangeInput, "providerMessageId" | "chat" | "from" | "at">;

/** A reaction, an edit, a deletion; undefined for everything else, also where it does not say of which message. */
function changeOf(message: Json, piece: Piece): MetaChangeInput | undefined {
  const kind = kindOf(message);
  const body = objectOf(message[kind]);
  const target = textOf(kind === "reaction" ? body["message_id"] : body["original_message_id"]);
  if (target === null) return undefined;
  switch (kind) {
    case "reaction":
      return { kind, ...piece, target, emoji: textOf(body["emoji"]) };
    case "edit":
      return { kind, ...piece, target, text: saidOf(objectOf(body["message"])).text };
    case "revoke":
      return { kind: "delete", ...piece, target };
    default:
      return undefined;
  }
}

/** A note that somebody has another number or id from now on. */
function sameOf({ content }: Said, was: MetaPerson): MetaSameInput | undefined {
  const system = content?.system;
  if (!system || !/^(user|customer)_changed_(number|user_id)$/.test(system.kind)) return undefined;
  const is = personOf({ phone: system.phone, userId: system.userId });
  return isNobody(is) ? undefined : { kind: "same_person", was, is };
}
