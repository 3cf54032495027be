/** What a batch of items writes once it is known what is new in it. */
import {
  eventText,
  type Media,
  type MessageData,
  type MessageState,
  type OutgoingEvent,
} from "@manyline/contracts";
import { sql } from "kysely";
import { bigints, byteas, ints, texts } from "../arrays.ts";
import type { Keyring } from "../crypto/keyring.ts";
import { rows, type Tx } from "../open.ts";
import { mediaContext } from "./auth-contexts.ts";
import { byEventId, type StoredEvent, storedEvents, type WrittenEvent } from "./events.ts";
import type { Fence } from "./fence.ts";
import { storable, storableJson } from "./inbound-batch.ts";
import { type Place, shortEmoji } from "./inbound-events.ts";
import type { ChangeItem, InboundItem, InboundSource, MessageItem } from "./inbound-items.ts";

/** `targetId`: of what it answers or changes. */
export type Fresh = Place & { chatNo: number; contactNo: number | null; targetId: string | null };
export type FreshMessage = Fresh & { item: MessageItem; isKnown: boolean; data: MessageData };
export type FreshChange = Fresh & { item: ChangeItem };

/** Of one number. */
export type Writes = {
  source: InboundSource;
  items: readonly InboundItem[];
  told: OutgoingEvent[];
  messages: FreshMessage[];
};

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
  const text = storableJson(content);
  return text === "{}" ? null : text;
}

/** New messages, the events of everything, and the journal: one statement. The events by place of the number. */
export async function store(tx: Tx, all: readonly Writes[]): Promise<StoredEvent[][]> {
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
    sql<WrittenEvent>`select * from store_inbounds(${ints(fences.map(({ companyNo }) => companyNo))}::int[],
      ${ints(fences.map(({ numberNo }) => numberNo))}::int[],
      ${ints(messages.map(({ at }) => at))}::int[],
      ${texts(messages.map(({ message }) => message.data.messageId))}::text[],
      ${bigints(messages.map(({ message }) => message.chatNo))}::bigint[],
      ${bigints(messages.map(({ message }) => message.contactNo))}::bigint[],
      ${texts(messages.map(({ message }) => (message.item.from === null ? "echo" : "in")))}::text[],
      ${texts(messages.map(({ message }) => stateOf(message)))}::text[],
      ${bigints(messages.map(({ message }) => message.seq))}::bigint[],
      ${texts(messages.map(({ message }) => message.data.providerMessageId))}::text[],
      ${texts(messages.map(({ message }) => message.data.type))}::text[],
      ${texts(messages.map(({ message }) => message.data.text))}::text[],
      ${texts(messages.map(({ message }) => contentOf(message)))}::text[],
      ${messages.map(({ message }) => message.data.at)}::timestamptz[],
      ${ints(told.map(({ at }) => at))}::int[],
      ${texts(envelopes.map(({ id }) => id))}::text[],
      ${texts(envelopes.map(({ type }) => type))}::text[],
      ${texts(told.map(({ event }) => event.natsSubject))}::text[],
      ${texts(told.map(({ event }) => eventText(event)))}::text[],
      ${ints(hashes.map(({ at }) => at))}::int[],
      ${byteas(hashes.map(({ hash }) => hash))}::bytea[])`,
  );
  const byId = byEventId(written);
  return all.map(({ source, told: own }) => {
    const { companyNo, numberNo } = source.fence;
    return storedEvents(
      own.map((event) => ({ companyNo, numberNo, event })),
      byId,
    );
  });
}

/** Messages that were waiting and can be read now. */
export async function readable(
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

export async function applyChanges(
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
  await sql`select apply_changes(${fence.companyNo}, ${texts(known.map(({ targetId }) => targetId))}::text[],
    ${texts(known.map(({ item }) => item.kind))}::text[], ${texts(known.map(textOf))}::text[],
    ${texts(known.map(({ from }) => from.contactId ?? "me"))}::text[],
    ${known.map(({ item }) => item.at.toISOString())}::timestamptz[])`.execute(tx);
}

/** The files of all messages: one statement. */
export async function addMedia(tx: Tx, keyring: Keyring, all: readonly Writes[]): Promise<void> {
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
      case when f.location is not null then clock_timestamp() end from unnest(${ints(files.map(({ fence }) => fence.companyNo))}::int[],
      ${ints(files.map(({ fence }) => fence.numberNo))}::int[], ${texts(files.map(({ media }) => media.id))}::text[],
      ${texts(files.map(({ data }) => data.messageId))}::text[], ${texts(files.map(({ type }) => type))}::text[],
      ${texts(files.map(({ media }) => media.mimeType))}::text[], ${bigints(files.map(({ media }) => media.bytes))}::bigint[],
      ${texts(files.map(({ media }) => media.sha256))}::text[], ${texts(files.map(({ media }) => media.fileName))}::text[],
      ${byteas(files.map(({ sealed }) => sealed))}::bytea[], ${texts(files.map(({ location }) => location))}::text[])
      as f (company_no, number_no, media_id, message_id, kind, mime_type, bytes, sha256, file_name, source, location)`.execute(
    tx,
  );
}
