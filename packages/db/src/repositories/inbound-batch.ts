/** A batch of items as the database takes it: each person and each chat once, items pointing to them by place. */
import { createHash } from "node:crypto";
import { newChatId, newContactId } from "@manyline/contracts";
import { type RawBuilder, sql } from "kysely";
import { bigints, byteas, ints, texts } from "../arrays.ts";
import type {
  ChatInput,
  InboundItem,
  InboundSource,
  PersonInput,
  SentName,
} from "./inbound-items.ts";

/** Items that belong to a chat; the others only tell of a person, or of nothing. */
export type ChatItem = Extract<InboundItem, { chat: ChatInput }>;

/** Equal things once each; items point to them by place, from 1. */
export type Batch = {
  items: ChatItem[];
  people: readonly Person[];
  /** `person`: the place of who the chat is with; 0: a group. */
  chatKeys: readonly ChatKey[];
  /** By place of the item: from 1; 0 is the number itself. */
  senders: number[];
  /** By place of the item: from 1. */
  chats: number[];
  /** Where a person of the items stands among those that the database answers: from 1. */
  placeOf: (person: PersonInput) => number;
};

type Person = Record<"phone" | "lid" | "userId" | "username" | "name", string | null>;
type ChatKey = { person: number; group: string | null; name: string | null };

/** Bytes and halves of characters that Postgres does not store; anybody may send them. */
export function storable(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}

/** What `storable` takes away, as JSON writes it. A text that only looks like it costs time. */
const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** The value as JSON writes it, every text in it made storable. */
export function storableDeep<T>(value: T): T {
  return JSON.parse(storableJson(value)) as T;
}

/** A value as JSON, every text in it made storable. */
export function storableJson(value: unknown): string {
  const text = JSON.stringify(value);
  if (!UNSTORABLE.test(text)) return text;
  return JSON.stringify(value, (_key, inner: unknown) =>
    typeof inner === "string" ? storable(inner) : inner,
  );
}

/** What names something is short, Meta's ids a few hundred characters; a longer one would not fit into an index. */
const NAME_LENGTH = 512;
const HASH_LENGTH = 43;
const cut = (text: string): string => storable(text.slice(0, NAME_LENGTH));
/** Two that begin alike stay two: the end of one that is too long is its hash. */
export const nameable = (text: string): string => {
  if (text.length <= NAME_LENGTH) return storable(text);
  const hash = createHash("sha256").update(text).digest("base64url");
  return storable(`${text.slice(0, NAME_LENGTH - HASH_LENGTH)}${hash}`);
};

const orNull = (text: string | null | undefined): string | null =>
  text === undefined || text === null || text === "" ? null : nameable(text);

/** A time that somebody else wrote, if it can be true; else now. */
export function pastTime(at: Date): Date {
  const now = Date.now();
  return at.getTime() >= 0 && at.getTime() < now + 86_400_000 ? at : new Date(now);
}

/** The item with ids that fit, and a time that exists: no stanza may keep the rest of its batch from being stored. */
function tidy(item: ChatItem): ChatItem {
  const at = pastTime(item.at);
  const providerMessageId = nameable(item.providerMessageId);
  return item.kind === "message"
    ? { ...item, at, providerMessageId }
    : { ...item, at, providerMessageId, target: nameable(item.target) };
}

/** Puts equal things together and remembers their places, from 1. */
class Places<T> {
  readonly all: T[] = [];
  readonly #places = new Map<string, number>();

  of(thing: T): number {
    const key = JSON.stringify(thing);
    const known = this.#places.get(key);
    if (known !== undefined) return known;
    this.all.push(thing);
    this.#places.set(key, this.all.length);
    return this.all.length;
  }
}

/** @throws TypeError for a person of whom nothing is known: the normaliser has to name them. */
function personOf(input: PersonInput): Person {
  const person = {
    phone: orNull(input.phone),
    lid: orNull(input.lid),
    userId: orNull(input.userId),
    username: orNull(input.username),
    name: input.name ? cut(input.name) : null,
  };
  if (!(person.phone ?? person.lid ?? person.userId ?? person.username)) {
    throw new TypeError("a person without phone, LID, user id or username");
  }
  return person;
}

export function batchOf(all: readonly InboundItem[]): Batch {
  const items = all.filter((item): item is ChatItem => "chat" in item).map(tidy);
  const people = new Places<Person>();
  const chats = new Places<ChatKey>();
  const chatPlace = (chat: ChatInput): number =>
    chats.of(
      chat.type === "direct"
        ? { person: people.of(personOf(chat.person)), group: null, name: null }
        : {
            person: 0,
            group: nameable(chat.providerChatId),
            name: chat.name ? cut(chat.name) : null,
          },
    );
  const chatPlaces = items.map(({ chat }) => chatPlace(chat));
  const senders = items.map(({ from }) => (from === null ? 0 : people.of(personOf(from))));
  for (const item of all) if (item.kind === "person") people.of(personOf(item.person));

  const placeOf = (person: PersonInput): number => people.of(personOf(person));
  return { items, people: people.all, chatKeys: chats.all, senders, chats: chatPlaces, placeOf };
}

/**
 * The batches of many numbers as one call, in the order of the numbers' keys. Places go on counting from one number
 * to the next.
 */
export function openCall(
  batches: readonly { source: InboundSource; batch: Batch; sent: readonly SentName[] }[],
): RawBuilder<unknown> {
  const fences = batches.map(({ source }) => source.fence);
  const people: (Person & { at: number })[] = [];
  const chats: (ChatKey & { at: number })[] = [];
  const items: { at: number; item: ChatItem; sender: number; chat: number }[] = [];
  const named: (SentName & { at: number })[] = [];
  for (const [index, { batch, sent }] of batches.entries()) {
    const [at, peopleBefore, chatsBefore] = [index + 1, people.length, chats.length];
    const among = (place: number): number => (place === 0 ? 0 : peopleBefore + place);
    for (const one of sent) named.push({ ...one, at });
    for (const person of batch.people) people.push({ ...person, at });
    for (const chat of batch.chatKeys) chats.push({ ...chat, person: among(chat.person), at });
    for (const [place, item] of batch.items.entries()) {
      const sender = among(batch.senders[place] ?? 0);
      items.push({ at, item, sender, chat: chatsBefore + (batch.chats[place] ?? 0) });
    }
  }
  return sql`open_inbounds(${ints(fences.map(({ companyNo }) => companyNo))}::int[],
    ${ints(fences.map(({ numberNo }) => numberNo))}::int[], ${bigints(fences.map(({ epoch }) => epoch))}::bigint[],
    ${ints(people.map(({ at }) => at))}::int[],
    ${texts(people.map(({ phone }) => phone))}::text[], ${texts(people.map(({ lid }) => lid))}::text[],
    ${texts(people.map(({ userId }) => userId))}::text[], ${texts(people.map(({ username }) => username))}::text[],
    ${texts(people.map(({ name }) => name))}::text[], ${texts(people.map(() => newContactId()))}::text[],
    ${ints(chats.map(({ at }) => at))}::int[],
    ${ints(chats.map(({ person }) => person))}::int[], ${texts(chats.map(({ group }) => group))}::text[],
    ${texts(chats.map(({ name }) => name))}::text[], ${texts(chats.map(() => newChatId()))}::text[],
    ${ints(items.map(({ at }) => at))}::int[],
    ${texts(items.map(({ item }) => kindOf(item)))}::text[], ${ints(items.map(({ chat }) => chat))}::int[],
    ${ints(items.map(({ sender }) => sender))}::int[],
    ${texts(items.map(({ item }) => item.providerMessageId))}::text[],
    ${texts(items.map(({ item }) => targetOf(item)))}::text[], ${byteas(items.map(({ item }) => seenHash(item)))}::bytea[],
    ${items.map(({ item }) => item.at.toISOString())}::timestamptz[],
    ${ints(named.map(({ at }) => at))}::int[], ${texts(named.map(({ messageId }) => messageId ?? null))}::text[],
    ${texts(named.map(({ providerMessageId }) => providerMessageId ?? null))}::text[])`;
}

function kindOf(item: ChatItem): string {
  if (item.kind === "delete" && item.isByAdmin === true) return "admin_delete";
  return item.kind === "message" && item.event === "waiting" ? "waiting" : item.kind;
}

function targetOf(item: ChatItem): string | null {
  return item.kind === "message" ? orNull(item.context?.providerMessageId) : item.target;
}

/** Of what leaves no message of its own; its id alone, because its sender may be named in two ways. */
export function seenHash(item: ChatItem): Buffer | null {
  if (item.kind === "message") return null;
  return createHash("sha256")
    .update(item.dedupe ?? `${item.kind}\0${item.providerMessageId}\0${item.target}`)
    .digest();
}
