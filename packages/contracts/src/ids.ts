/**
 * Identifiers, each an opaque branded string with one place that makes and checks it.
 *
 * - `CompanyId`: the outer id of a tenant, chosen by the user, e.g. `962302`. One safe NATS token.
 * - `NumberId` `num_…`, `AttemptId` `pai_…`, `CommandId` `cmd_…`, `EventId` `evt_…`, `JobId` `job_…`,
 *   `MessageId` `msg_…`, `ChatId` `cht_…`, `ContactId` `con_…`, `MediaId` `med_…`, `FlowKeyId` `fky_…`, `SubscriptionId` `sub_…`: prefix and a UUIDv7 in hex
 *   without dashes, so they sort by creation.
 * Phone number, JID and LID are different things and never share a type.
 */
import { v7 as uuidv7 } from "uuid";

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

export type CompanyId = Branded<"CompanyId">;
export type NumberId = Branded<"NumberId">;
export type AttemptId = Branded<"AttemptId">;
export type CommandId = Branded<"CommandId">;
export type EventId = Branded<"EventId">;
export type JobId = Branded<"JobId">;
export type MessageId = Branded<"MessageId">;
export type ChatId = Branded<"ChatId">;
export type ContactId = Branded<"ContactId">;
export type MediaId = Branded<"MediaId">;
export type FlowKeyId = Branded<"FlowKeyId">;
export type SubscriptionId = Branded<"SubscriptionId">;

/** `[A-Za-z0-9_-]{1,64}`, not `_` alone (the "no number" token of subjects), without `__wpp__` (reserved). */
export const COMPANY_ID_PATTERN = "^(?!_$)(?!.*__wpp__)[A-Za-z0-9_-]{1,64}$";
const companyIdRegExp = new RegExp(COMPANY_ID_PATTERN);

/** The pattern of an id with this prefix, for JSON Schemas. */
export function idPattern(prefix: string): string {
  return `^${prefix}_[0-9a-f]{32}$`;
}

/** The company's outer id, or undefined if the text is not one. */
export function parseCompanyId(text: string): CompanyId | undefined {
  return companyIdRegExp.test(text) ? (text as CompanyId) : undefined;
}

const NUMBER_ID = new RegExp(idPattern("num"));

/** A number's id, or undefined if the text is not one. */
export function parseNumberId(text: string): NumberId | undefined {
  return NUMBER_ID.test(text) ? (text as NumberId) : undefined;
}

/** What the bits of an id that count within a millisecond hold. */
const MAX_SEQ = 2 ** 32 - 1;

/** Random bytes of 256 ids, drawn at once: a draw costs more than what is drawn. */
const drawn = new Uint8Array(4_096);
let unused = 0;
let last = { msecs: 0, seq: 0 };

/** Ascending, also within a millisecond and when the clock is set back: 31 random bits, then counted on. */
function newId(prefix: string): string {
  if (unused === 0) unused = crypto.getRandomValues(drawn).length;
  const random = drawn.subarray(unused - 16, unused);
  unused -= 16;
  const now = Date.now();
  const [a = 0, b = 0, c = 0, d = 0] = random;
  if (now > last.msecs) last = { msecs: now, seq: ((a & 0x7f) << 24) | (b << 16) | (c << 8) | d };
  else
    last =
      last.seq < MAX_SEQ
        ? { msecs: last.msecs, seq: last.seq + 1 }
        : { msecs: last.msecs + 1, seq: 0 };
  return `${prefix}_${uuidv7({ random, ...last }).replaceAll("-", "")}`;
}

export function newNumberId(): NumberId {
  return newId("num") as NumberId;
}
export function newAttemptId(): AttemptId {
  return newId("pai") as AttemptId;
}
export function newCommandId(): CommandId {
  return newId("cmd") as CommandId;
}
export function newEventId(): EventId {
  return newId("evt") as EventId;
}
export function newJobId(): JobId {
  return newId("job") as JobId;
}
/** Ascending within a process, also within a millisecond: messages are stored and listed in this order. */
export function newMessageId(): MessageId {
  return newId("msg") as MessageId;
}
export function newChatId(): ChatId {
  return newId("cht") as ChatId;
}
export function newContactId(): ContactId {
  return newId("con") as ContactId;
}
export function newMediaId(): MediaId {
  return newId("med") as MediaId;
}
export function newFlowKeyId(): FlowKeyId {
  return newId("fky") as FlowKeyId;
}
export function newSubscriptionId(): SubscriptionId {
  return newId("sub") as SubscriptionId;
}

const MESSAGE_ID = new RegExp(idPattern("msg"));
const CHAT_ID = new RegExp(idPattern("cht"));
const CONTACT_ID = new RegExp(idPattern("con"));
const MEDIA_ID = new RegExp(idPattern("med"));
const SUBSCRIPTION_ID = new RegExp(idPattern("sub"));

/** These return undefined for a text that is no such id. */
export function parseMessageId(text: string): MessageId | undefined {
  return MESSAGE_ID.test(text) ? (text as MessageId) : undefined;
}
export function parseChatId(text: string): ChatId | undefined {
  return CHAT_ID.test(text) ? (text as ChatId) : undefined;
}
export function parseContactId(text: string): ContactId | undefined {
  return CONTACT_ID.test(text) ? (text as ContactId) : undefined;
}
export function parseMediaId(text: string): MediaId | undefined {
  return MEDIA_ID.test(text) ? (text as MediaId) : undefined;
}
export function parseSubscriptionId(text: string): SubscriptionId | undefined {
  return SUBSCRIPTION_ID.test(text) ? (text as SubscriptionId) : undefined;
}

/** No message made at `at` or later has a smaller id: for reading messages from a time on. */
export function messageIdFrom(at: Date): MessageId {
  return `msg_${Math.max(0, at.getTime()).toString(16).padStart(12, "0")}${"0".repeat(20)}` as MessageId;
}

/** An id of a linked device's own message, as its clients make them; chosen before the first try. */
export function newLinkedMessageId(): string {
  const random = Buffer.from(crypto.getRandomValues(new Uint8Array(9)));
  return `3EB0${random.toString("hex").toUpperCase()}`;
}
