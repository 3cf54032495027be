/** A batch of items as the database takes it: each person and each chat once, items pointing to them by place. */
import { createHash } from "node:crypto";
import { newChatId, newContactId } from "@manyline/contracts";
import { type RawBuilder, sql } from "kysely";
import type { ChatInput, InboundItem, InboundSource, PersonInput } from "./inbound-items.ts";

/** Items that belong to a chat; the others only tell of a person, or of nothing. */
export type ChatItem = Extract<InboundItem, { chat: ChatInput }>;

export type Batch = {
  items: ChatItem[];
  /** By place of the item: from 1; 0 is the number itself. */
  senders: number[];
  /** By place of the item: from 1. */
  chats: number[];
  /** Where a person of the items stands among those that the database answers: from 1. */
  placeOf: (person: PersonInput) => number;
  call: (source: InboundSource) => RawBuilder<unknown>;
};

/** Bytes and halves of characters that Postgres does not store; anybody may send them. */
export function storable(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}

/** Every text in a value, made storable. */
export function storableDeep<T>(value: T): T {
  return JSON.parse(
    JSON.stringify(value, (_key, inner: unknown) =>
      typeof inner === "string" ? storable(inner) : inner,
    ),
  ) as T;
}

/** What names something is short; a longer one would not fit into an index. */
const NAME_LENGTH = 256;
export const nameable = (text: string): string => storable(text.slice(0, NAME_LENGTH));

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

type Person = Record<"phone" | "lid" | "userId" | "username" | "name", string | null>;

/** @throws TypeError for a person of whom nothing is known: the normaliser has to name them. */
function personOf(input: PersonInput): Person {
  const person = {
    phone: orNull(input.phone),
    lid: orNull(input.lid),
    userId: orNull(input.userId),
    username: orNull(input.username),
    name: orNull(input.name),
  };
  if (!(person.phone ?? person.lid ?? person.userId ?? person.username)) {
    throw new TypeError("a person without phone, LID, user id or username");
  }
  return person;
}

export function batchOf(all: readonly InboundItem[]): Batch {
  const items = all.filter((item): item is ChatItem => "chat" in item).map(tidy);
  const people = new Places<Person>();
  const chats = new Places<{ person: number; group: string | null; name: string | null }>();
  const chatPlace = (chat: ChatInput): number =>
    chats.of(
      chat.type === "direct"
        ? { person: people.of(personOf(chat.person)), group: null, name: null }
        : { person: 0, group: nameable(chat.providerChatId), name: orNull(chat.name) },
    );
  const chatPlaces = items.map(({ chat }) => chatPlace(chat));
  const senders = items.map(({ from }) => (from === null ? 0 : people.of(personOf(from))));
  for (const item of all) if (item.kind === "person") people.of(personOf(item.person));

  const call = ({ fence }: InboundSource): RawBuilder<unknown> => sql`open_inbound(
    ${fence.companyNo}, ${fence.numberNo}, ${fence.epoch},
    ${people.all.map(({ phone }) => phone)}::text[], ${people.all.map(({ lid }) => lid)}::text[],
    ${people.all.map(({ userId }) => userId)}::text[], ${people.all.map(({ username }) => username)}::text[],
    ${people.all.map(({ name }) => name)}::text[], ${people.all.map(() => newContactId())}::text[],
    ${chats.all.map(({ person }) => person)}::int[], ${chats.all.map(({ group }) => group)}::text[],
    ${chats.all.map(({ name }) => name)}::text[], ${chats.all.map(() => newChatId())}::text[],
    ${items.map(kindOf)}::text[], ${chatPlaces}::int[], ${senders}::int[],
    ${items.map(({ providerMessageId }) => providerMessageId)}::text[],
    ${items.map(targetOf)}::text[], ${items.map(seenHash)}::bytea[],
    ${items.map(({ at }) => at.toISOString())}::timestamptz[])`;
  const placeOf = (person: PersonInput): number => people.of(personOf(person));
  return { items, senders, chats: chatPlaces, placeOf, call };
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
    .update(`${item.kind}\0${item.providerMessageId}\0${item.target}`)
    .digest();
}
