import type {
  ChatType,
  MessageDirection,
  MessageError,
  MessageState,
  MessageType,
} from "@manyline/contracts";
import type { Generated, GeneratedAlways } from "kysely";

/**
 * What was decrypted for a number and is not yet a committed message: stanza attributes and plaintext, sealed.
 * `hash`: of sender, id, kind and ciphertext. An entry that is done has lost its value; its hash stays, so that
 * the same ciphertext, delivered again, is not decrypted again (which would fail).
 *
 * Writer: the owner; inserted only through `write_auth_journal`, with the ratchet; done in the commit of the
 * message.
 * Retention: 8 days after it is done; one that is open stays until it is done or the number is removed.
 */
export type InboundJournalTable = {
  companyNo: number;
  numberNo: number;
  hash: Buffer;
  entryNo: GeneratedAlways<number>;
  value: Buffer | null;
  receivedAt: Generated<Date>;
  doneAt: Date | null;
};

/**
 * What has come in and left no message of its own (an edit, a reaction, …), by hash: de-duplication. Messages
 * are their own memory, by provider id.
 *
 * Writer: whoever commits the event, in the same transaction.
 * Retention: 9 days.
 */
export type SeenTable = {
  companyNo: number;
  numberNo: number;
  hash: Buffer;
  at: Generated<Date>;
};

/**
 * Messages, in and out. Partitioned by month (UTC) of the time in `message_id`. `contact_no`: who wrote it;
 * null: the number itself. `at`: WhatsApp's time. `seq`: its place among the events of its chat. `content`: what
 * only some kinds have; of a queued one, what is to be sent. `is_open`: it waits to be sent or is being sent;
 * `is_next`: it is the oldest open one of its chat; `lane`: 0 before 1 before 2.
 *
 * Writer: gateway inserts queued ones; everything else: the owner, fenced. States only move forward.
 * Retention: 90 days or longer, as set; dropped by whole months. Those of a removed number are deleted bit by
 * bit by housekeeping.
 */
export type MessagesTable = {
  companyNo: number;
  messageId: string;
  numberNo: number;
  chatNo: number;
  contactNo: number | null;
  direction: MessageDirection;
  state: MessageState;
  seq: number;
  providerMessageId: string;
  type: MessageType;
  text: string | null;
  content: object | null;
  at: Date;
  createdAt: Generated<Date>;
  stateAt: Date | null;
  editedAt: Date | null;
  deletedAt: Date | null;
  reactions: Record<string, string> | null;
  error: MessageError | null;
  isOpen: Generated<boolean>;
  isNext: Generated<boolean>;
  lane: number | null;
  sendAfter: Date | null;
  expiresAt: Date | null;
  attempts: number | null;
  claimedEpoch: number | null;
  claimedAt: Date | null;
  traceparent: string | null;
};

/**
 * A number's conversation with a person or in a group. `seq`: the number of its last event. One that was merged
 * keeps its messages and points to the one that goes on.
 *
 * Writer: gateway and the owner, whoever needs it first; the owner merges.
 * Retention: as long as the number.
 */
export type ChatsTable = {
  companyNo: number;
  chatNo: GeneratedAlways<number>;
  numberNo: number;
  chatId: string;
  type: ChatType;
  contactNo: number | null;
  providerChatId: string | null;
  name: string | null;
  seq: Generated<number>;
  lastMessageAt: Date | null;
  lastInboundAt: Date | null;
  /** When the number first wrote to somebody who had never written; of such chats there are only so many a day. */
  firstSentAt: Date | null;
  mergedInto: number | null;
  createdAt: Generated<Date>;
};

/**
 * A person a company writes with, whatever number they write to. Phone, LID and so on as last heard; by which a
 * person is found is in `contact_aliases`. One that was merged points to the one that goes on.
 *
 * Writer: gateway and the owner, whoever hears of the person first; the owner merges.
 * Retention: as long as the company.
 */
export type ContactsTable = {
  companyNo: number;
  contactNo: GeneratedAlways<number>;
  contactId: string;
  name: string | null;
  phone: string | null;
  lid: string | null;
  userId: string | null;
  username: string | null;
  mergedInto: number | null;
  createdAt: Generated<Date>;
  updatedAt: Generated<Date>;
};

/**
 * By what a person is known: phone, LID, business-scoped id, username. Each belongs to one person at a time.
 *
 * Writer: gateway and the owner, with the contact.
 * Retention: as long as the contact.
 */
export type ContactAliasesTable = {
  companyNo: number;
  kind: "phone" | "lid" | "user_id" | "username";
  value: string;
  contactNo: number;
  createdAt: Generated<Date>;
};

/**
 * Files of messages. `remote`: WhatsApp has it (`source`, sealed: address and key); `stored`: at `location`;
 * `gone`: nobody has it any more.
 *
 * Writer: gateway what is uploaded; everything else: the owner, fenced.
 * Retention: 90 days or longer, as set, with the messages.
 */
export type MediaTable = {
  companyNo: number;
  mediaId: string;
  numberNo: number;
  messageId: string | null;
  kind: string;
  mimeType: string;
  bytes: number | null;
  sha256: string | null;
  fileName: string | null;
  source: Buffer | null;
  state: Generated<"remote" | "stored" | "gone">;
  location: string | null;
  createdAt: Generated<Date>;
  storedAt: Date | null;
};

/**
 * `Idempotency-Key` of a request to send: the hash of the request and the message it made.
 *
 * Writer: gateway, with the message.
 * Retention: 9 days.
 */
export type IdempotencyTable = {
  companyNo: number;
  key: string;
  requestHash: Buffer;
  messageId: string;
  createdAt: Generated<Date>;
};

/**
 * Numbers that were removed and whose messages, files and journal are still to be deleted.
 *
 * Writer: a trigger on `numbers`, and `purge_removed_numbers`.
 * Retention: until everything of the number is deleted.
 */
export type RemovedNumbersTable = {
  companyNo: number;
  numberNo: number;
  removedAt: Generated<Date>;
};

/**
 * Files of the media store whose rows are deleted or say that they are gone, and that are still to be removed.
 *
 * Writer: triggers on `media`, and `forget_dropped_files`.
 * Retention: until the file is removed.
 */
export type DroppedFilesTable = {
  companyNo: number;
  location: string;
  droppedAt: Generated<Date>;
};

/**
 * Messages that became `unknown`, and since when; what they are now stands in `messages`.
 *
 * Writer: a trigger of `messages`.
 * Retention: until it is known what became of the message.
 */
export type UnknownSendsTable = {
  companyNo: number;
  messageId: string;
  numberNo: number;
  at: Generated<Date>;
};
