import {
  type ChangeType,
  contactCreated,
  ManylineError,
  type Media,
  type Message,
  type MessageData,
  type MessageId,
  messageQueued,
  MESSAGE_TYPES,
  type MessageContent,
  type MessageType,
  newChatId,
  newContactId,
  newMessageId,
  type Provider,
  QUEUE_LENGTH,
  SEND_LIFE,
} from "@manyline/contracts";
import { sql } from "kysely";
import { firstRow, rows, type Tx } from "../open.ts";
import {
  byEventId,
  insertEvents,
  type StoredEvent,
  storedEvents,
  type WrittenEvent,
} from "./events.ts";
import { messageOf } from "./message-reads.ts";
import {
  chatOf,
  type ChatRow,
  type EventSource,
  ownPerson,
  personOf,
  type PersonRow,
  tell,
} from "./message-rows.ts";

/** To whom: exactly one. Phone and LID are digits; a group is `…@g.us`. */
export type Recipient =
  | { phone: string }
  | { lid: string }
  | { contactId: string }
  | { chatId: string }
  | { groupId: string };

/** The message that is answered or changed, as the owner needs it. */
export type SendContext = {
  messageId: string;
  providerMessageId: string;
  /** The number wrote it. */
  isOwn: boolean;
  type: MessageType;
  text: string | null;
  /** Of its author; both null when the number wrote it. */
  phone: string | null;
  lid: string | null;
};

export type SendContent = MessageContent & {
  media?: Media;
  context?: SendContext;
  /** Of a reaction; null takes it back. */
  emoji?: string | null;
};

export type SendInput = EventSource & {
  companyNo: number;
  numberNo: number;
  provider: Provider;
  /** The number's own. */
  phone: string | null;
  to: Recipient;
  type: MessageType | ChangeType;
  text: string | null;
  content?: MessageContent & { media?: Media; emoji?: string | null };
  /** Our id of the message that is answered, or changed by `reaction`, `edit`, `delete`. */
  contextId?: string | undefined;
  /** WhatsApp's id, chosen now so that a repetition carries the same one. */
  providerMessageId: string;
  isBulk?: boolean;
  /** How long it may wait; default a day. */
  lifeSeconds?: number;
  /** `hash`: of everything in the request that matters. */
  idempotency?: { key: string; hash: Buffer } | undefined;
  /** So many messages of the company may wait. */
  queueLength?: number;
};

export type Enqueued = {
  messageId: MessageId;
  /** For the relay. */
  events: StoredEvent[];
} & (
  | {
      isRepeated: false;
      /** As `getMessage` would answer it. */
      message: Message;
    }
  /** The same request was made before: this is its message, and nothing was written. */
  | { isRepeated: true; message?: undefined }
);

type Opened =
  | { outcome: "known" | "mismatch"; messageId: MessageId }
  | { outcome: "no_number" | "no_chat" | "no_contact" | "full" }
  | {
      outcome: "open";
      seq: number;
      chat: ChatRow;
      person: PersonRow;
      isNext: boolean;
      lane: number;
      context: SendContext | null;
    };

type OpenedSend = Extract<Opened, { outcome: "open" }>;

const FULL_RETRY_SECONDS = 30;

/**
 * Puts a message into the queue of its number: message, key and `message.queued` in the transaction of
 * `withCompany`. Poke the shard after the commit. Whether the number is connected does not matter: it waits.
 * @throws ManylineError IDEMPOTENCY_MISMATCH, QUEUE_FULL, NUMBER_NOT_FOUND, CHAT_NOT_FOUND, CONTACT_NOT_FOUND,
 *   MESSAGE_NOT_FOUND (`contextId` is of no message of this chat); roll back
 */
export async function enqueueMessage(tx: Tx, input: SendInput): Promise<Enqueued> {
  const messageId = newMessageId();
  const { companyNo, numberNo, idempotency, to, contextId = null } = input;
  const recipient = (key: string): string | null =>
    new Map<string, string>(Object.entries(to)).get(key) ?? null;
  const row = await firstRow(
    tx,
    sql<{ opened: Opened }>`select open_send(${companyNo}, ${numberNo}, ${messageId},
      ${idempotency?.key ?? null}, ${idempotency?.hash ?? null}, ${input.queueLength ?? QUEUE_LENGTH},
      ${recipient("phone")}, ${recipient("lid")}, ${recipient("contactId")}, ${recipient("chatId")},
      ${recipient("groupId")}, ${newContactId()}, ${newChatId()}, ${input.isBulk ?? false}, ${contextId},
      ${isMessage(input.type)}) as opened`,
  );
  const opened = row?.opened;
  switch (opened?.outcome) {
    case "known":
      return { messageId: opened.messageId, isRepeated: true, events: [] };
    case "mismatch":
      throw new ManylineError("IDEMPOTENCY_MISMATCH", { messageId: opened.messageId });
    case "full":
      throw new ManylineError("QUEUE_FULL", { retryAfterSeconds: FULL_RETRY_SECONDS });
    case "no_chat":
      throw new ManylineError("CHAT_NOT_FOUND");
    case "no_contact":
      throw new ManylineError("CONTACT_NOT_FOUND");
    case "no_number":
    case undefined:
      throw new ManylineError("NUMBER_NOT_FOUND");
    case "open":
      if (contextId !== null && opened.context === null)
        throw new ManylineError("MESSAGE_NOT_FOUND");
      return { messageId, isRepeated: false, ...(await store(tx, input, messageId, opened)) };
  }
}

async function store(
  tx: Tx,
  input: SendInput,
  messageId: MessageId,
  opened: OpenedSend,
): Promise<{ events: StoredEvent[]; message: Message }> {
  const { companyNo, numberNo, type } = input;
  const { seq, context, person } = opened;
  const at = new Date();
  const content: SendContent = { ...input.content, ...(context ? { context } : {}) };
  const made = personOf(person);
  const told = [
    ...(person[7] && made.contactId !== null
      ? [tell(input, contactCreated, { ...made, contactId: made.contactId })]
      : []),
    ...(isMessage(type)
      ? [tell(input, messageQueued, queuedData(input, messageId, type, opened, at), seq)]
      : []),
  ];
  const events = told.map((event) => ({ companyNo, numberNo, event }));
  const written = await rows(
    tx,
    sql<StoredSend & Partial<WrittenEvent>>`with stored as (
        insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
          provider_message_id, type, text, content, at, is_open, is_next, lane, expires_at, attempts, traceparent)
        values (${companyNo}, ${numberNo}, ${messageId}, ${opened.chat[0]}, 'out', 'queued', ${seq},
          ${input.providerMessageId}, ${type}, ${input.text}, ${JSON.stringify(content)}::json, ${at}, true,
          ${opened.isNext}, ${opened.lane},
          clock_timestamp() + ${input.lifeSeconds ?? SEND_LIFE.usual} * interval '1 second', 0,
          ${input.traceparent ?? null})
        returning created_at as queued_at, expires_at
      ), log as (${insertEvents(events)}) select * from stored left join log on true`,
  );
  const [stored] = written;
  if (stored === undefined) throw new Error(`message ${messageId} was not written`);
  const log = written.filter(
    (row): row is StoredSend & WrittenEvent => typeof row.eventId === "string",
  );
  return {
    events: storedEvents(events, byEventId(log)),
    message: queuedMessage(input, messageId, opened, { at, content, ...stored }),
  };
}

/** The message as it lies in the queue. */
function queuedMessage(
  input: SendInput,
  messageId: MessageId,
  { seq, chat: [, chatId, chatType, chatContactId, chatPhone, chatName] }: OpenedSend,
  stored: StoredSend & { at: Date; content: SendContent },
): Message {
  const { numberId, provider, providerMessageId, type, text } = input;
  return messageOf({
    messageId,
    numberId,
    provider,
    providerMessageId,
    type,
    text,
    seq,
    chatId,
    chatType,
    chatContactId,
    chatPhone,
    chatName,
    ownPhone: input.phone,
    direction: "out",
    state: "queued",
    // As it is read from the table.
    content: JSON.parse(JSON.stringify(stored.content)) as SendContent,
    at: stored.at,
    createdAt: stored.queuedAt,
    expiresAt: stored.expiresAt,
    ...NOTHING_YET,
  });
}

const NOTHING_YET = {
  stateAt: null,
  editedAt: null,
  deletedAt: null,
  reactions: null,
  error: null,
  // The number itself writes.
  contactId: null,
  phone: null,
  lid: null,
  userId: null,
  username: null,
  name: null,
};

/** What the insert has chosen. */
type StoredSend = { queuedAt: Date; expiresAt: Date };

const isMessage = (type: SendInput["type"]): type is MessageType =>
  (MESSAGE_TYPES as readonly string[]).includes(type);

function queuedData(
  input: SendInput,
  messageId: MessageId,
  type: MessageType,
  { chat, context }: { chat: ChatRow; context: SendContext | null },
  at: Date,
): MessageData {
  const { media = null, emoji: _ofReactions, ...content } = input.content ?? {};
  return {
    messageId,
    providerMessageId: input.providerMessageId,
    provider: input.provider,
    chat: chatOf(chat),
    from: ownPerson(input),
    type,
    text: input.text,
    media,
    context: context && {
      providerMessageId: context.providerMessageId,
      messageId: context.messageId,
    },
    at: at.toISOString(),
    ...content,
  };
}
