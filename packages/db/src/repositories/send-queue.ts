import type { ChangeType, ChatType, MessageType } from "@manyline/contracts";
import { sql } from "kysely";
import { FencedError } from "../errors.ts";
import { type Executor, firstRow, rows } from "../open.ts";
import type { Fence } from "./fence.ts";
import type { SendContent } from "./sends.ts";

/** A message that its owner shall send now. */
export type Send = {
  companyNo: number;
  numberNo: number;
  epoch: number;
  messageId: string;
  providerMessageId: string;
  /** More than 1: it was claimed before and may be with the recipient already. */
  attempts: number;
  chatId: string;
  chatType: ChatType;
  /** Of a direct chat, as far as they are known. */
  phone: string | null;
  lid: string | null;
  userId: string | null;
  /** Of a group. */
  groupId: string | null;
  /** When somebody last wrote in the chat; null: never, it is a first contact. */
  lastInboundAt: Date | null;
  type: MessageType | ChangeType;
  text: string | null;
  content: SendContent | null;
  lane: number;
  createdAt: Date;
  expiresAt: Date;
  traceparent: string | null;
};

/** `room`: so many messages of the number may be claimed now; its owner knows its pace and what is under way. */
export type ReadyNumber = { fence: Fence; room: number };

/** A `Send` of the row `m` of messages, with `sendTables` joined. */
export const sendColumns = sql.raw(
  [
    "m.company_no, m.number_no, m.claimed_epoch as epoch, m.message_id, m.provider_message_id, m.attempts",
    "r.chat_id, r.type as chat_type, p.phone, p.lid, p.user_id, r.provider_chat_id as group_id, r.last_inbound_at",
    "m.type, m.text, m.content, m.lane, m.created_at, m.expires_at, m.traceparent",
  ].join(", "),
);
export const sendTables = sql.raw(`
  join chats c on c.company_no = m.company_no and c.chat_no = m.chat_no
  join chats r on r.company_no = c.company_no and r.chat_no = case when c.merged_into is null then c.chat_no else c.merged_into end
  left join contacts w on w.company_no = m.company_no and w.contact_no = r.contact_no
  left join contacts p on p.company_no = m.company_no and p.contact_no = case when w.merged_into is null then w.contact_no else w.merged_into end`);

/**
 * Claims waiting messages of numbers that can send now, by one call of one database function, under their
 * fences: of each chat only the oldest, replies before others before bulk, then by age. A claimed message
 * keeps its chat waiting until its result is noted (`noteStatuses`) or it is given back (`releaseSends`). What
 * a former owner was sending comes again, with `attempts` above 1 and the same `providerMessageId`.
 */
export async function claimSends(
  executor: Executor,
  ready: readonly ReadyNumber[],
  limit: number,
): Promise<Send[]> {
  if (ready.length === 0) return [];
  return rows(
    executor,
    sql<Send>`select *
      from claim_sends(${ready.map(({ fence }) => fence.companyNo)}::int[],
        ${ready.map(({ fence }) => fence.numberNo)}::int[], ${ready.map(({ fence }) => fence.epoch)}::bigint[],
        ${ready.map(({ room }) => room)}::int[], ${limit})`,
  );
}

/**
 * Claimed messages go back into the queue, to be claimed again from `after` on (now, if left out): nothing has
 * left, so the claim does not count as an attempt. Returns how many.
 * @throws FencedError when the fence is not of this epoch
 */
export async function releaseSends(
  executor: Executor,
  fence: Fence,
  messageIds: readonly string[],
  after?: Date,
): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{
      count: number | null;
    }>`select release_sends(${fence.companyNo}, ${fence.numberNo}, ${fence.epoch},
      ${messageIds}::text[], ${after ?? null}) as count`,
  );
  if (row?.count === null || row === undefined) throw new FencedError(fence);
  return row.count;
}
