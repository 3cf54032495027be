import { newMessageId, type OutgoingEvent, type Person } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { type Database, firstRow, inTransaction, type Tx } from "../open.ts";
import type { StoredEvent } from "./events.ts";
import { type Batch, batchOf, openCall } from "./inbound-batch.ts";
import {
  changeEvent,
  createdEvent,
  mergedEvent,
  messageData,
  messageEvent,
} from "./inbound-events.ts";
import { chatOf, type ChatRow, ownPerson, personOf, type PersonRow } from "./message-rows.ts";
import type { InboundItem, InboundSource, PersonInput, SentName } from "./inbound-items.ts";
import {
  addMedia,
  applyChanges,
  type Fresh,
  type FreshChange,
  type FreshMessage,
  readable,
  store,
  type Writes,
} from "./inbound-writes.ts";
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
  /** outcome, its id if it is known, id of what it answers or changes, seq, place of that if it is an item, from 1 */
  items: [
    "new" | "known" | "repeated",
    string | null,
    string | null,
    number | null,
    number | null,
  ][];
};

/** Of all of them, one after the other; or, when not every fence is held, the numbers whose fences are. */
type AllOpened = { [Part in keyof Opened]: Opened[Part] | null } | { held: number[] };

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
type Working = InboundCommit & Writes & { batch: Batch; opened: Opened; changes: FreshChange[] };

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
  // Before the changes: one of them may delete what has just come.
  await addMedia(tx, keyring, all);
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
      const before = next.item;
      const part = {
        persons: (persons ?? []).slice(next.person, (next.person += people.length)),
        // Whose they are the contact says.
        moved: moved ?? [],
        chats: (chats ?? []).slice(next.chat, (next.chat += chatKeys.length)),
        items: (items ?? [])
          .slice(next.item, next.item + own.length)
          .map(([outcome, id, target, seq, place]): Opened["items"][number] => {
            return [outcome, id, target, seq, place === null ? null : place - before];
          }),
      };
      next.item += own.length;
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
  const ids = batch.items.map(({ kind }, index) =>
    kind === "message" ? (opened.items[index]?.[1] ?? newMessageId()) : undefined,
  );
  for (const [index, item] of batch.items.entries()) {
    const fresh = freshOf(opened, people, source, batch, index, ids);
    if (!fresh) continue;
    const { isKnown, ...place } = fresh;
    const messageId = ids[index];
    if (item.kind === "message" && messageId !== undefined) {
      const known = { messageId, contextId: place.targetId };
      const data = messageData(source, item, place, known);
      messages.push({ ...place, item, isKnown, data });
      told.push(messageEvent(source, item.event, data, place.seq));
    } else if (item.kind !== "message") {
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
  ids: readonly (string | undefined)[],
): (Fresh & { isKnown: boolean }) | undefined {
  const [outcome, , targetId, seq, targetPlace] = opened.items[index] ?? [];
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
    targetId: targetId ?? (targetPlace ? ids[targetPlace - 1] : null) ?? null,
  };
}
