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
import { type RawBuilder, sql } from "kysely";
import { FencedError } from "../errors.ts";
import { type Database, type Executor, inTransaction, rows, type Tx } from "../open.ts";
import { appendEvents, type EventInput, type StoredEvent } from "./events.ts";
import { noteChanges } from "./changes.ts";
import { storableDeep } from "./inbound-batch.ts";
import type { InboundSource } from "./inbound-items.ts";
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
} & (
  | { messageId: string; providerMessageId?: string | undefined }
  | { messageId?: undefined; providerMessageId: string }
);

/** One status that was news, as `note_statuses` answers it. */
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

/** Like `noteStatuses`, in a transaction that is open. */
export async function noteStatusesIn(
  tx: Tx,
  source: InboundSource,
  statuses: readonly Status[],
): Promise<StoredEvent[]> {
  const [result] = await noteTogetherIn(tx, [{ source, statuses }]);
  if (result === undefined || result instanceof Error)
    throw result ?? new FencedError(source.fence);
  return result;
}

async function noteTogether(
  db: Database,
  batches: readonly StatusBatch[],
): Promise<(StoredEvent[] | Error)[]> {
  if (batches.every(({ statuses }) => statuses.length === 0)) return batches.map(() => []);
  return inTransaction(db, (tx) => noteTogetherIn(tx, batches));
}

async function noteTogetherIn(
  tx: Tx,
  batches: readonly StatusBatch[],
): Promise<(StoredEvent[] | Error)[]> {
  const results: (StoredEvent[] | Error)[] = batches.map(() => []);
  // Locks are taken in one order, whoever takes them.
  const calls = [...batches.entries()]
    .filter(([, { statuses }]) => statuses.length > 0)
    .toSorted(([, a], [, b]) => a.source.fence.numberNo - b.source.fence.numberNo)
    .map(([place, batch]) => sql`select ${sql.lit(place)} as place, ${noteCall(batch)} as news`);
  if (calls.length === 0) return results;
  const noted = await rows(
    tx,
    sql<{ place: number; news: StatusNews[] | null }>`${sql.join(calls, sql` union all `)}`,
  );
  const told: (EventInput & { place: number })[] = [];
  for (const { place, news } of noted) {
    const batch = batches[place];
    if (!batch) continue;
    const { fence } = batch.source;
    if (news === null) results[place] = new FencedError(fence);
    else {
      const events = await newsEvents(tx, batch, news);
      const { companyNo, numberNo } = fence;
      told.push(...events.map((event) => ({ companyNo, numberNo, event, place })));
    }
  }
  const stored = await appendEvents(tx, told);
  for (const [index, event] of stored.entries()) {
    const result = results[told[index]?.place ?? -1];
    if (Array.isArray(result)) result.push(event);
  }
  return results;
}

function noteCall({ source: { fence }, statuses }: StatusBatch): RawBuilder<unknown> {
  const errorOf = ({ error }: Status): string | null =>
    error ? JSON.stringify(storableDeep(error)) : null;
  return sql`note_statuses(${fence.companyNo}, ${fence.numberNo}, ${fence.epoch},
    ${statuses.map(({ messageId }) => messageId ?? null)}::text[],
    ${statuses.map(({ providerMessageId }) => providerMessageId ?? null)}::text[],
    ${statuses.map(({ state }) => state)}::text[],
    ${statuses.map(({ at }) => at.toISOString())}::timestamptz[],
    ${statuses.map(errorOf)}::jsonb[])`;
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
