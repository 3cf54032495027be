import {
  type MessageData,
  type MessageState,
  newMessageId,
  type OutgoingEvent,
  type Person,
} from "@manyline/contracts";
import { type RawBuilder, sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { type Database, inTransaction, rows, type Tx } from "../open.ts";
import { mediaContext } from "./auth-contexts.ts";
import { type StoredEvent, storedEvents, type WrittenEvent } from "./events.ts";
import { type Batch, batchOf, storable, storableDeep } from "./inbound-batch.ts";
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
} from "./inbound-items.ts";
import { togetherOrAlone } from "./together.ts";

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
  const [result] = await commitInbounds(db, keyring, [{ source, items }]);
  if (result === undefined || result instanceof Error)
    throw result ?? new FencedError(source.fence);
  return result;
}

/** Items of one number. */
export type InboundCommit = { source: InboundSource; items: readonly InboundItem[] };

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
      if (one) return { events: one.events, repeated: one.repeated };
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
  const batches = commits.map(({ items }) => batchOf(items));
  // Locks are taken in one order, whoever takes them.
  const order = [...commits.keys()].filter((place) => (commits[place]?.items.length ?? 0) > 0);
  const numberAt = (place: number): number => commits[place]?.source.fence.numberNo ?? 0;
  order.sort((a, b) => numberAt(a) - numberAt(b));
  const nothing = { events: [], repeated: 0, personOf: () => undefined };
  const results: (StoredInbound | undefined)[] = commits.map(() => nothing);
  const working = new Map<number, Working>();
  for (const [place, opened] of await open(tx, commits, batches, order)) {
    const [commit, batch] = [commits[place], batches[place]];
    if (!commit || !batch) continue;
    if (opened) working.set(place, work(commit, batch, opened));
    else results[place] = undefined;
  }
  const all = [...working.values()];
  const stored = await store(tx, all);
  for (const [place, one] of working) {
    const { source, messages, changes, batch, opened } = one;
    await readable(tx, source, messages);
    await applyChanges(tx, source, changes);
    await addAllMedia(tx, keyring, one);
    const repeated = batch.items.length - messages.length - changes.length;
    const personAt = (person: PersonInput): Person | undefined => {
      const row = opened.persons[batch.placeOf(person) - 1];
      return row && personOf(row);
    };
    results[place] = { events: stored.get(one) ?? [], repeated, personOf: personAt };
  }
  return results;
}

/** By place of the commit: what the database makes of it; null: the fence is another's. */
async function open(
  tx: Tx,
  commits: readonly InboundCommit[],
  batches: readonly Batch[],
  order: readonly number[],
): Promise<[number, Opened | null][]> {
  const calls = order.flatMap((place) => {
    const [commit, batch] = [commits[place], batches[place]];
    return commit && batch
      ? [sql`select ${sql.lit(place)} as place, ${batch.call(commit.source)} as opened`]
      : [];
  });
  if (calls.length === 0) return [];
  const found = await rows(
    tx,
    sql<{ place: number; opened: Opened | null }>`${sql.join(calls, sql` union all `)}`,
  );
  return found.map(({ place, opened }) => [place, opened]);
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

/** New messages, the events of everything, and the journal: one statement. */
async function store(tx: Tx, all: readonly Working[]): Promise<Map<Working, StoredEvent[]>> {
  const calls = all.flatMap((one) => storeCall(one) ?? []);
  if (calls.length === 0) return new Map();
  const written = await rows(tx, sql<WrittenEvent>`${sql.join(calls, sql` union all `)}`);
  const byId = new Map(written.map((row) => [row.eventId, row]));
  return new Map(
    all.map((one) => {
      const { companyNo, numberNo } = one.source.fence;
      const events = one.told.map((event) => ({ companyNo, numberNo, event }));
      const own = events.flatMap(({ event }) => byId.get(event.envelope.id) ?? []);
      return [one, storedEvents(events, own)];
    }),
  );
}

function storeCall({
  source,
  messages: all,
  told,
  items,
}: Working): RawBuilder<unknown> | undefined {
  const { companyNo, numberNo } = source.fence;
  const hashes = items.flatMap(({ journal }) => journal ?? []);
  const messages = all.filter(({ isKnown }) => !isKnown);
  if (messages.length + told.length + hashes.length === 0) return undefined;
  const envelopes = told.map(({ envelope }) => envelope);
  return sql`select * from store_inbound(${companyNo}, ${numberNo},
      ${messages.map(({ data }) => data.messageId)}::text[],
      ${messages.map(({ chatNo }) => chatNo)}::bigint[],
      ${messages.map(({ contactNo }) => contactNo)}::bigint[],
      ${messages.map(({ item }) => (item.from === null ? "echo" : "in"))}::text[],
      ${messages.map(stateOf)}::text[],
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
      ${hashes}::bytea[])`;
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

async function addAllMedia(tx: Tx, keyring: Keyring, { source, messages }: Working): Promise<void> {
  for (const { item, data } of messages) {
    if (!item.media || !data.media) continue;
    const sealer = await keyring.sealer(tx, source.fence.companyNo);
    const context = mediaContext(source.fence.numberNo, data.media.id);
    await addMedia(tx, source, item, data, sealer.seal(context, item.media.source));
  }
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
