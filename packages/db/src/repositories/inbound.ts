import {
  type MessageData,
  newMessageId,
  type OutgoingEvent,
  type Person,
} from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { type Database, firstRow, inTransaction, rows, type Tx } from "../open.ts";
import { mediaContext } from "./auth-contexts.ts";
import { type StoredEvent, storedEvents, type WrittenEvent } from "./events.ts";
import { batchOf, storable, storableDeep } from "./inbound-batch.ts";
import {
  changeEvent,
  createdEvent,
  mergedEvent,
  messageData,
  messageEvent,
  shortEmoji,
  type Place,
} from "./inbound-events.ts";
import { chatOf, type ChatRow, ownPerson, personOf, type PersonRow } from "./message-rows.ts";
import type { ChangeItem, InboundItem, InboundSource, MessageItem } from "./inbound-items.ts";

export type * from "./inbound-items.ts";

/** `events`: for the relay. `repeated`: how many items were dropped because they are committed already. */
export type InboundResult = { events: StoredEvent[]; repeated: number };

/** What `open_inbound` answers. */
type Opened = {
  persons: PersonRow[];
  /** contact id, chat that ended, chat that goes on */
  moved: [string, string, string][];
  chats: ChatRow[] | null;
  /** outcome, its id if it is known, id of what it answers or changes, seq */
  items: ["new" | "known" | "repeated", string | null, string | null, number | null][] | null;
};

type Fresh = Place & { chatNo: number; contactNo: number | null; targetId: string | null };
type FreshMessage = Fresh & { item: MessageItem; isKnown: boolean; data: MessageData };
type FreshChange = Fresh & { item: ChangeItem };

/**
 * Commits a batch of one number's items in one fenced transaction: people, chats, messages, events with their
 * `seq`, and the journal entries that are done. Items keep their order. What was committed before is dropped,
 * so a batch may be repeated. For messages of known people these are two statements, and per message one row
 * each in messages, the event log and the journal, and one per chat.
 * @throws FencedError when the fence is not of this epoch; nothing was written
 */
export async function commitInbound(
  db: Database,
  keyring: Keyring,
  source: InboundSource,
  items: readonly InboundItem[],
): Promise<InboundResult> {
  if (items.length === 0) return { events: [], repeated: 0 };
  const batch = batchOf(items);
  const hasMedia = batch.items.some((item) => item.kind === "message" && item.media);
  const sealer = hasMedia ? await keyring.sealer(db, source.fence.companyNo) : undefined;
  return inTransaction(db, async (tx) => {
    const row = await firstRow(
      tx,
      sql<{ opened: Opened | null }>`select ${batch.call(source)} as opened`,
    );
    const opened = row?.opened;
    if (!opened) throw new FencedError(source.fence);

    const people = opened.persons.map(personOf);
    const told = opened.persons.flatMap((person, index) =>
      peopleEvents(source, people[index], person, opened.moved),
    );
    const messages: FreshMessage[] = [];
    const changes: FreshChange[] = [];
    for (const [index, item] of batch.items.entries()) {
      const fresh = freshOf(opened, people, source, batch, index);
      if (!fresh) continue;
      const { isKnown, knownId, ...place } = fresh;
      if (item.kind === "message") {
        const known = { messageId: knownId ?? newMessageId(), contextId: place.targetId };
        const data = messageData(source, item, place, known);
        messages.push({ ...place, item, isKnown, data });
        told.push(messageEvent(source, item.event, data, place.seq));
      } else {
        changes.push({ ...place, item });
        told.push(changeEvent(source, item, place, place.targetId));
      }
    }
    const hashes = items.flatMap(({ journal }) => journal ?? []);
    const events = await store(tx, source, messages, told, hashes);
    await readable(tx, source, messages);
    await applyChanges(tx, source, changes);
    for (const { item, data } of messages) {
      if (!item.media || !data.media || !sealer) continue;
      const context = mediaContext(source.fence.numberNo, data.media.id);
      await addMedia(tx, source, item, data, sealer.seal(context, item.media.source));
    }
    return { events, repeated: batch.items.length - messages.length - changes.length };
  });
}

function peopleEvents(
  source: InboundSource,
  person: Person | undefined,
  row: PersonRow,
  moved: Opened["moved"],
): OutgoingEvent[] {
  if (!person) return [];
  const [, , , , , , , isNew, lost] = row;
  const chats = moved
    .filter(([contactId]) => contactId === person.contactId)
    .map(([, chatId, into]) => ({ chatId, into }));
  return [
    ...(isNew ? createdEvent(source, person) : []),
    ...lost.flatMap((mergedId) => mergedEvent(source, person, mergedId, chats)),
  ];
}

/** Where the item belongs; undefined when it was committed before. */
function freshOf(
  opened: Opened,
  people: Person[],
  source: InboundSource,
  batch: { senders: number[]; chats: number[] },
  index: number,
): (Fresh & { isKnown: boolean; knownId: string | null }) | undefined {
  const [outcome, knownId, targetId, seq] = opened.items?.[index] ?? [];
  const row = opened.chats?.[(batch.chats[index] ?? 0) - 1];
  if (outcome === undefined || outcome === "repeated" || !row || typeof seq !== "number")
    return undefined;
  const sender = (batch.senders[index] ?? 0) - 1;
  return {
    chat: chatOf(row),
    chatNo: row[0],
    from: people[sender] ?? ownPerson(source),
    contactNo: opened.persons[sender]?.[0] ?? null,
    seq,
    isKnown: outcome === "known",
    knownId: knownId ?? null,
    targetId: targetId ?? null,
  };
}

/** What the columns of a message do not hold; undefined members are left out by JSON. */
function contentOf({ item, data }: FreshMessage): string | null {
  const content = {
    ...item.content,
    media: data.media ?? undefined,
    context: data.context ?? undefined,
  };
  const text = JSON.stringify(storableDeep(content));
  return text === "{}" ? null : text;
}

/** New messages, the events of everything, and the journal: one statement. */
async function store(
  tx: Tx,
  { fence }: InboundSource,
  all: readonly FreshMessage[],
  told: readonly OutgoingEvent[],
  hashes: readonly Buffer[],
): Promise<StoredEvent[]> {
  const { companyNo, numberNo } = fence;
  const messages = all.filter(({ isKnown }) => !isKnown);
  const events = told.map((event) => ({ companyNo, numberNo, event }));
  if (messages.length + events.length + hashes.length === 0) return [];
  const envelopes = told.map(({ envelope }) => envelope);
  const written = await rows(
    tx,
    sql<WrittenEvent>`select * from store_inbound(${companyNo}, ${numberNo},
      ${messages.map(({ data }) => data.messageId)}::text[],
      ${messages.map(({ chatNo }) => chatNo)}::bigint[],
      ${messages.map(({ contactNo }) => contactNo)}::bigint[],
      ${messages.map(({ item }) => (item.from === null ? "echo" : "in"))}::text[],
      ${messages.map(({ item }) => item.event)}::text[],
      ${messages.map(({ seq }) => seq)}::bigint[],
      ${messages.map(({ data }) => data.providerMessageId)}::text[],
      ${messages.map(({ data }) => data.type)}::text[],
      ${messages.map(({ data }) => data.text)}::text[],
      ${messages.map(contentOf)}::text[],
      ${messages.map(({ data }) => data.at)}::timestamptz[],
      ${envelopes.map(({ id }) => id)}::text[],
      ${envelopes.map(({ type }) => type)}::text[],
      ${told.map(({ natsSubject }) => natsSubject)}::text[],
      ${envelopes.map((envelope) => JSON.stringify(envelope))}::text[],
      ${hashes}::bytea[])`,
  );
  return storedEvents(events, written);
}

/** Messages that were waiting and can be read now. */
async function readable(
  tx: Tx,
  { fence }: InboundSource,
  all: readonly FreshMessage[],
): Promise<void> {
  for (const message of all.filter(({ isKnown }) => isKnown)) {
    const { item, data, seq } = message;
    await sql`update messages set state = ${item.event}, seq = ${seq}, type = ${data.type}, text = ${data.text},
        content = ${contentOf(message)}::json, at = ${data.at}::timestamptz
      where company_no = ${fence.companyNo} and message_id = ${data.messageId}`.execute(tx);
  }
}

async function applyChanges(
  tx: Tx,
  { fence }: InboundSource,
  all: readonly FreshChange[],
): Promise<void> {
  const known = all.filter(({ targetId }) => targetId !== null);
  if (known.length === 0) return;
  const textOf = ({ item }: FreshChange): string | null => {
    if (item.kind === "reaction") return item.emoji && shortEmoji(item.emoji);
    return item.kind === "edit" && item.text !== null ? storable(item.text) : null;
  };
  await sql`select apply_changes(${fence.companyNo}, ${known.map(({ targetId }) => targetId)}::text[],
    ${known.map(({ item }) => item.kind)}::text[], ${known.map(textOf)}::text[],
    ${known.map(({ from }) => from.contactId ?? "me")}::text[],
    ${known.map(({ item }) => item.at.toISOString())}::timestamptz[])`.execute(tx);
}

async function addMedia(
  tx: Tx,
  { fence }: InboundSource,
  item: MessageItem,
  data: MessageData,
  sealed: Buffer,
): Promise<void> {
  const { media } = data;
  if (!media) return;
  await sql`insert into media (company_no, number_no, media_id, message_id, kind, mime_type, bytes, sha256,
      file_name, source)
    values (${fence.companyNo}, ${fence.numberNo}, ${media.id}, ${data.messageId}, ${item.type},
      ${media.mimeType}, ${media.bytes}, ${media.sha256}, ${media.fileName}, ${sealed})`.execute(
    tx,
  );
}
