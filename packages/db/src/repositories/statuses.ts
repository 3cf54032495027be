import {
  CHANGE_TYPES,
  type ChangeType,
  type EventDefinition,
  type MessageError,
  type MessageType,
  messageDelivered,
  messageExpired,
  messageFailed,
  messagePlayed,
  messageRead,
  messageSent,
  messageUnknown,
  type OutgoingEvent,
  type Pricing,
  type SendState,
} from "@manyline/contracts";
import { sql } from "kysely";
import { FencedError } from "../errors.ts";
import { type Database, type Executor, firstRow, inTransaction, rows, type Tx } from "../open.ts";
import { appendEvents, type EventInput, type StoredEvent } from "./events.ts";
import { noteChanges } from "./changes.ts";
import { storableJson } from "./inbound-batch.ts";
import type { InboundSource } from "./inbound-items.ts";
import { joinPhones } from "./merges.ts";
import { chatOf, type ChatRow, personOf, type PersonRow, tell } from "./message-rows.ts";
import type { SendContent } from "./sends.ts";
import { togetherOrAlone } from "./together.ts";

/**
 * What became of a message that was sent: named by our id (the result of a send) or by WhatsApp's (a receipt).
 * With `messageId`, a `providerMessageId` replaces the one that was stored.
 */
export type Status = {
  state: SendState;
  at: Date;
  error?: MessageError | undefined;
  pricing?: Pricing | undefined;
  /** WhatsApp has answered that it knows the phone that was written to (the first) by the other: both are one person. */
  samePhones?: readonly [string, string] | undefined;
} & (
  | { messageId: string; providerMessageId?: string | undefined }
  | { messageId?: undefined; providerMessageId: string }
);

/** One status that was news, as `note_all_statuses` answers it. */
export type StatusNews = {
  /** In the statuses given, from 1. */
  place: number;
  messageId: string;
  providerMessageId: string;
  state: SendState;
  seq: number;
  chat: ChatRow;
  person: PersonRow;
  type: MessageType | ChangeType;
  text: string | null;
  content: SendContent | null;
};

/** The event that tells each result. */
export const STATUS_EVENTS = {
  sent: messageSent,
  delivered: messageDelivered,
  read: messageRead,
  played: messagePlayed,
  failed: messageFailed,
  unknown: messageUnknown,
  expired: messageExpired,
} as const satisfies Record<SendState, EventDefinition>;

/**
 * Notes results and receipts of one number, with their events, in one fenced transaction. Only what goes
 * forward counts (`STATE_RANK`); the rest, and what is said of messages nobody knows, is dropped. Any result
 * ends a message's time in the queue; the next of its chat can be claimed. A change (reaction, edit, deletion)
 * that was sent is applied to its message and told.
 * @throws FencedError when the fence is not of this epoch; nothing was written
 */
export async function noteStatuses(
  db: Database,
  source: InboundSource,
  statuses: readonly Status[],
): Promise<StoredEvent[]> {
  const [result] = await noteAllStatuses(db, [{ source, statuses }]);
  if (result === undefined || result instanceof Error)
    throw result ?? new FencedError(source.fence);
  return result;
}

/** Of one number. */
export type StatusBatch = { source: InboundSource; statuses: readonly Status[] };

/**
 * The same for many numbers at the same moment, each of them once, in one transaction. In the order of `batches`:
 * the events, or why nothing was noted; a number whose fence is not held leaves the others alone, and so does a
 * batch that Postgres refuses.
 * @throws when Postgres is away
 */
export async function noteAllStatuses(
  db: Database,
  batches: readonly StatusBatch[],
): Promise<(StoredEvent[] | Error)[]> {
  return togetherOrAlone(batches, (some) => noteTogether(db, some));
}

async function noteTogether(
  db: Database,
  batches: readonly StatusBatch[],
): Promise<(StoredEvent[] | Error)[]> {
  if (batches.every(({ statuses }) => statuses.length === 0)) return batches.map(() => []);
  return inTransaction(db, (tx) => noteTogetherIn(tx, batches));
}

/** Like `noteAllStatuses`, in a transaction that is open; whatever Postgres refuses fails all of them. */
export async function noteTogetherIn(
  tx: Tx,
  batches: readonly StatusBatch[],
): Promise<(StoredEvent[] | FencedError)[]> {
  const wanted = batches.flatMap((batch, place) =>
    batch.statuses.length > 0 ? [{ place, ...batch }] : [],
  );
  // Locks are taken in one order, whoever takes them.
  wanted.sort(
    ({ source: { fence: a } }, { source: { fence: b } }) =>
      a.companyNo - b.companyNo || a.numberNo - b.numberNo,
  );
  const results: (StoredEvent[] | FencedError)[] = batches.map(({ source, statuses }) =>
    statuses.length > 0 ? new FencedError(source.fence) : [],
  );
  // Before the chats are locked: whoever joins people locks those first.
  const merges = await joinPhones(tx, wanted.flatMap(pairsOf));
  const told: (EventInput & { place: number })[] = [...merges].flatMap(
    ([{ source, place }, events]) => {
      const { companyNo, numberNo } = source.fence;
      return events.map((event) => ({ companyNo, numberNo, event, place }));
    },
  );
  for (const [{ place, ...batch }, news] of await note(tx, wanted)) {
    results[place] = [];
    const { companyNo, numberNo } = batch.source.fence;
    const events = news.length > 0 ? await newsEvents(tx, batch, news) : [];
    told.push(...events.map((event) => ({ companyNo, numberNo, event, place })));
  }
  const stored = await appendEvents(tx, told);
  for (const [index, event] of stored.entries()) {
    const result = results[told[index]?.place ?? -1];
    if (Array.isArray(result)) result.push(event);
  }
  return results;
}

const pairsOf = ({ place, source, statuses }: StatusBatch & { place: number }) =>
  statuses.flatMap(({ samePhones }) => (samePhones ? [{ place, source, phones: samePhones }] : []));

/** What is news of each batch. Left out: those whose fence is another's. */
async function note<One extends StatusBatch>(
  tx: Tx,
  wanted: readonly One[],
): Promise<Map<One, StatusNews[]>> {
  if (wanted.length === 0) return new Map();
  const fences = wanted.map(({ source }) => source.fence);
  const all = wanted.flatMap((batch, index) =>
    batch.statuses.map((status, place) => ({ batch, at: index + 1, place: place + 1, status })),
  );
  const errorOf = ({ error }: Status): string | null => (error ? storableJson(error) : null);
  const row = await firstRow(
    tx,
    sql<{ noted: { news: StatusNews[] } | { held: number[] } }>`select note_all_statuses(
      ${fences.map(({ companyNo }) => companyNo)}::int[], ${fences.map(({ numberNo }) => numberNo)}::int[],
      ${fences.map(({ epoch }) => epoch)}::bigint[], ${all.map(({ at }) => at)}::int[],
      ${all.map(({ status }) => status.messageId ?? null)}::text[],
      ${all.map(({ status }) => status.providerMessageId ?? null)}::text[],
      ${all.map(({ status }) => status.state)}::text[],
      ${all.map(({ status }) => status.at.toISOString())}::timestamptz[],
      ${all.map(({ status }) => errorOf(status))}::jsonb[]) as noted`,
  );
  if (!row) throw new Error("note_all_statuses answers one row");
  const { noted } = row;
  if ("held" in noted) {
    const held = new Set(noted.held);
    return note(
      tx,
      wanted.filter(({ source }) => held.has(source.fence.numberNo)),
    );
  }
  const news = new Map<One, StatusNews[]>(wanted.map((batch) => [batch, []]));
  for (const one of noted.news) {
    const named = all[one.place - 1];
    if (named) news.get(named.batch)?.push(Object.assign(one, { place: named.place }));
  }
  return news;
}

/** What is told of the news; a change that was sent is applied as well. */
async function newsEvents(
  tx: Tx,
  { source, statuses }: StatusBatch,
  news: readonly StatusNews[],
): Promise<OutgoingEvent[]> {
  const told: OutgoingEvent[] = news.map((one) => {
    const status = statuses[one.place - 1];
    const data = {
      messageId: one.messageId,
      providerMessageId: one.providerMessageId,
      chat: chatOf(one.chat),
      recipient: personOf(one.person),
      at: (status?.at ?? new Date()).toISOString(),
      error: status?.error ?? null,
      ...(status?.pricing ? { pricing: status.pricing } : {}),
    };
    return tell(source, STATUS_EVENTS[one.state], data, one.seq);
  });
  const sentChanges = news.filter(
    ({ state, type }) => state === "sent" && (CHANGE_TYPES as readonly string[]).includes(type),
  );
  if (sentChanges.length > 0) told.push(...(await noteChanges(tx, source, statuses, sentChanges)));
  return told;
}

export type OverdueSend = {
  companyNo: number;
  numberNo: number;
  messageId: string;
  expiresAt: Date;
  /** `sending`: it was claimed and may have left. */
  state: "queued" | "sending";
};

/**
 * Messages of the worker's shards whose time is over: those that wait are `expired`; what became of one that was
 * claimed nobody knows, unless it is under way right now.
 */
export async function overdueSends(
  executor: Executor,
  owner: { workerId: string; shardIds: readonly number[] },
  limit: number,
): Promise<OverdueSend[]> {
  return rows(
    executor,
    sql<OverdueSend>`select m.company_no, m.number_no, m.message_id, m.expires_at, m.state
      from messages m join companies c on c.company_no = m.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where m.is_open and m.expires_at < statement_timestamp() and m.state in ('queued', 'sending')
        and l.owner = ${owner.workerId} and l.shard_id = any (${owner.shardIds}::int[])
      order by m.expires_at limit ${limit}`,
  );
}

/**
 * Messages of Meta numbers in the worker's shards of which, for `afterMs`, nobody could say whether they were sent:
 * note them as failed.
 */
export async function lostSends(
  executor: Executor,
  owner: { workerId: string; shardIds: readonly number[] },
  afterMs: number,
  limit: number,
): Promise<{ numberNo: number; messageId: string }[]> {
  return rows(
    executor,
    sql<{ numberNo: number; messageId: string }>`select u.number_no, u.message_id
      from unknown_sends u join messages m on m.company_no = u.company_no and m.message_id = u.message_id
      join numbers n on n.company_no = u.company_no and n.number_no = u.number_no
      join companies c on c.company_no = u.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where u.at < statement_timestamp() - ${afterMs}::bigint * interval '1 millisecond' and m.state = 'unknown'
        and n.provider = 'meta' and l.owner = ${owner.workerId} and l.shard_id = any (${owner.shardIds}::int[])
      order by u.at limit ${limit}`,
  );
}
