import {
  type Media,
  type MessageData,
  type MessageState,
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
import { type Batch, batchOf, openCall, storable, storableDeep } from "./inbound-batch.ts";
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
import type {
  ChangeItem,
  InboundItem,
  InboundSource,
  MessageItem,
  PersonInput,
  SentName,
} from "./inbound-items.ts";
import type { Fence } from "./fence.ts";
import { togetherOrAlone } from "./together.ts";

export type * from "./inbound-items.ts";

/**
 * `events`: for the relay. `repeated`: how many items were dropped because they are committed already. `files`: ids of
 * the files whose messages were not among those.
 */
export type InboundResult = { events: StoredEvent[]; repeated: number; files: string[] };

/** What `open_inbounds` answers of one number. */
type Opened = {
  persons: PersonRow[];
  /** contact id, chat that ended, chat that goes on */
  moved: [string, string, string][];
  chats: ChatRow[];
  /** outcome, its id if it is known, id of what it answers or changes, seq */
  items: ["new" | "known" | "repeated", string | null, string | null, number | null][];
};

/** Of all of them, one after the other; or, when not every fence is held, the numbers whose fences are. */
type AllOpened = { [Part in keyof Opened]: Opened[Part] | null } | { held: number[] };

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
  const [result] = await commitInbounds(db, keyring, [{ source, items }]);
  if (result === undefined || result instanceof Error)
    throw result ?? new FencedError(source.fence);
  return result;
}

/**
 * Items of one number. `sent`: messages of which the same transaction notes afterwards what became of them; their
 * chats are locked together with those of the items.
 */
export type InboundCommit = {
  source: InboundSource;
  items: readonly InboundItem[];
  sent?: readonly SentName[];
};

/**
 * The same for many numbers at the same moment, each of them once, in one transaction: the ways to the database
 * cost more than what is written. In the order of `commits`: what was committed, or why it was not; a number
 * whose fence is not held leaves the others alone, and so does a batch that Postgres refuses.
 * @throws when Postgres is away
 */
export async function commitInbounds(
  db: Database,
  keyring: Keyring,
  commits: readonly InboundCommit[],
): Promise<(InboundResult | Error)[]> {
  return togetherOrAlone(commits, (some) => commitTogether(db, keyring, some));
}

/** A number's batch under way. */
type Working = InboundCommit & {
  batch: Batch;
  opened: Opened;
  told: OutgoingEvent[];
  messages: FreshMessage[];
  changes: FreshChange[];
};

async function commitTogether(
  db: Database,
  keyring: Keyring,
  commits: readonly InboundCommit[],
): Promise<(InboundResult | Error)[]> {
  return inTransaction(db, async (tx) => {
    const stored = await storeTogether(tx, keyring, commits);
    return stored.map((one, place) => {
      const fence = commits[place]?.source.fence;
      if (one) return { events: one.events, repeated: one.repeated, files: one.files };
      return fence ? new FencedError(fence) : new Error("no number");
    });
  });
}

/** `personOf`: who somebody of the items is; undefined for somebody who is not among them. */
export type StoredInbound = InboundResult & {
  personOf: (person: PersonInput) => Person | undefined;
};

/** `commitInbounds` in a transaction that is open. By place of the commit; undefined: the fence is another's. */
export async function storeTogether(
  tx: Tx,
  keyring: Keyring,
  commits: readonly InboundCommit[],
): Promise<(StoredInbound | undefined)[]> {
  const wanted = [...commits.entries()].flatMap(([place, commit]) => {
    const { source, items, sent = [] } = commit;
    if (items.length + sent.length === 0) return [];
    return [{ place, commit, source, batch: batchOf(items), sent }];
  });
  // Locks are taken in one order, whoever takes them.
  wanted.sort(
    ({ source: { fence: a } }, { source: { fence: b } }) =>
      a.companyNo - b.companyNo || a.numberNo - b.numberNo,
  );
  const nothing = { events: [], repeated: 0, files: [], personOf: () => undefined };
  const results: (StoredInbound | undefined)[] = commits.map(({ items, sent = [] }) =>
    items.length + sent.length === 0 ? nothing : undefined,
  );
  const opened = await open(tx, wanted);
  const all = [...opened].map(([{ commit, batch }, one]) => work(commit, batch, one));
  const stored = await store(tx, all);
  for (const [at, { place }] of [...opened.keys()].entries()) {
    const one = all[at];
    if (!one) continue;
    const { source, messages, changes, batch } = one;
    await readable(tx, source, messages);
    await applyChanges(tx, source, changes);
    const repeated = batch.items.length - messages.length - changes.length;
    const personAt = (person: PersonInput): Person | undefined => {
      const row = one.opened.persons[batch.placeOf(person) - 1];
      return row && personOf(row);
    };
    const files = messages.flatMap(({ data }) => data.media?.id ?? []);
    results[place] = { events: stored[at] ?? [], repeated, files, personOf: personAt };
  }
  await addMedia(tx, keyring, all);
  return results;
}

/** What the database makes of each batch. Left out: those whose fence is another's. */
async function open<One extends { source: InboundSource; batch: Batch; sent: readonly SentName[] }>(
  tx: Tx,
  wanted: readonly One[],
): Promise<Map<One, Opened>> {
  if (wanted.length === 0) return new Map();
  const row = await firstRow(tx, sql<{ opened: AllOpened }>`select ${openCall(wanted)} as opened`);
  if (!row) throw new Error("open_inbounds answers one row");
  const { opened } = row;
  if ("held" in opened) {
    const held = new Set(opened.held);
    return open(
      tx,
      wanted.filter(({ source }) => held.has(source.fence.numberNo)),
    );
  }
  const { persons, moved, chats, items } = opened;
  const next = { person: 0, chat: 0, item: 0 };
  return new Map(
    wanted.map((one) => {
      const { people, chatKeys, items: own } = one.batch;
      const part = {
        persons: (persons ?? []).slice(next.person, (next.person += people.length)),
        // Whose they are the contact says.
        moved: moved ?? [],
        chats: (chats ?? []).slice(next.chat, (next.chat += chatKeys.length)),
        items: (items ?? []).slice(next.item, (next.item += own.length)),
      };
      return [one, part];
    }),
  );
}

function work(commit: InboundCommit, batch: Batch, opened: Opened): Working {
  const { source } = commit;
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
  return { ...commit, batch, opened, told, messages, changes };
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
  const [outcome, knownId, targetId, seq] = opened.items[index] ?? [];
  const row = opened.chats[(batch.chats[index] ?? 0) - 1];
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

/** An old message that is imported is in the state it would have had. */
function stateOf({ item }: FreshMessage): MessageState {
  if (item.event !== "imported") return item.event;
  return item.from === null ? "echoed" : "received";
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

/** New messages, the events of everything, and the journal: one statement. The events by place of the number. */
async function store(tx: Tx, all: readonly Working[]): Promise<StoredEvent[][]> {
  const numbered = all.map((one, index) => ({ at: index + 1, one }));
  const messages = numbered.flatMap(({ at, one }) =>
    one.messages.flatMap((message) => (message.isKnown ? [] : [{ at, message }])),
  );
  const told = numbered.flatMap(({ at, one }) => one.told.map((event) => ({ at, event })));
  const hashes = numbered.flatMap(({ at, one }) =>
    one.items.flatMap(({ journal }) => (journal ?? []).map((hash) => ({ at, hash }))),
  );
  if (messages.length + told.length + hashes.length === 0) return [];
  const fences = all.map(({ source }) => source.fence);
  const envelopes = told.map(({ event }) => event.envelope);
  const written = await rows(
    tx,
    sql<WrittenEvent>`select * from store_inbounds(${fences.map(({ companyNo }) => companyNo)}::int[],
      ${fences.map(({ numberNo }) => numberNo)}::int[],
      ${messages.map(({ at }) => at)}::int[],
      ${messages.map(({ message }) => message.data.messageId)}::text[],
      ${messages.map(({ message }) => message.chatNo)}::bigint[],
      ${messages.map(({ message }) => message.contactNo)}::bigint[],
      ${messages.map(({ message }) => (message.item.from === null ? "echo" : "in"))}::text[],
      ${messages.map(({ message }) => stateOf(message))}::text[],
      ${messages.map(({ message }) => message.seq)}::bigint[],
      ${messages.map(({ message }) => message.data.providerMessageId)}::text[],
      ${messages.map(({ message }) => message.data.type)}::text[],
      ${messages.map(({ message }) => message.data.text)}::text[],
      ${messages.map(({ message }) => contentOf(message))}::text[],
      ${messages.map(({ message }) => message.data.at)}::timestamptz[],
      ${told.map(({ at }) => at)}::int[],
      ${envelopes.map(({ id }) => id)}::text[],
      ${envelopes.map(({ type }) => type)}::text[],
      ${told.map(({ event }) => event.natsSubject)}::text[],
      ${envelopes.map((envelope) => JSON.stringify(envelope))}::text[],
      ${hashes.map(({ at }) => at)}::int[],
      ${hashes.map(({ hash }) => hash)}::bytea[])`,
  );
  const byId = new Map(written.map((row) => [row.eventId, row]));
  return all.map(({ source, told: own }) => {
    const { companyNo, numberNo } = source.fence;
    return storedEvents(
      own.map((event) => ({ companyNo, numberNo, event })),
      own.flatMap(({ envelope }) => byId.get(envelope.id) ?? []),
    );
  });
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

/** The files of all messages: one statement. */
async function addMedia(tx: Tx, keyring: Keyring, all: readonly Working[]): Promise<void> {
  const files: {
    fence: Fence;
    type: string;
    data: MessageData;
    media: Media;
    location: string | null;
    sealed: Buffer;
  }[] = [];
  for (const { source, messages } of all) {
    const { fence } = source;
    for (const { item, data } of messages) {
      const { media } = data;
      if (!item.media || !media) continue;
      const sealer = await keyring.sealer(tx, fence.companyNo);
      const sealed = sealer.seal(mediaContext(fence.numberNo, media.id), item.media.source);
      const location = item.media.stored?.location ?? null;
      files.push({ fence, type: item.type, data, media, location, sealed });
    }
  }
  if (files.length === 0) return;
  await sql`insert into media (company_no, number_no, media_id, message_id, kind, mime_type, bytes, sha256,
      file_name, source, location, state, stored_at)
    select f.*, case when f.location is null then 'remote' else 'stored' end,
      case when f.location is not null then clock_timestamp() end from unnest(${files.map(({ fence }) => fence.companyNo)}::int[],
      ${files.map(({ fence }) => fence.numberNo)}::int[], ${files.map(({ media }) => media.id)}::text[],
      ${files.map(({ data }) => data.messageId)}::text[], ${files.map(({ type }) => type)}::text[],
      ${files.map(({ media }) => media.mimeType)}::text[], ${files.map(({ media }) => media.bytes)}::bigint[],
      ${files.map(({ media }) => media.sha256)}::text[], ${files.map(({ media }) => media.fileName)}::text[],
      ${files.map(({ sealed }) => sealed)}::bytea[], ${files.map(({ location }) => location)}::text[])
      as f (company_no, number_no, media_id, message_id, kind, mime_type, bytes, sha256, file_name, source, location)`.execute(
    tx,
  );
}
