/** What the owner of a number minds when it sends: restrictions, first contacts, claims that got lost. */
import type { Restriction } from "@manyline/contracts";
import { sql } from "kysely";
import { FencedError } from "../errors.ts";
import { changed, type Executor, firstRow, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";
import { sendColumns, sendTables, type Send } from "./send-queue.ts";

/** `isFree`: it may go. `until`: when there is the next one to take; null: not known. */
export type FirstContact = { isFirst: boolean; isFree: boolean; until: Date | null };

/**
 * Whether the message is the first to somebody who never wrote to the number; if so it takes one of the `most`
 * first contacts that the number has within 24 hours. `most` 0 only looks.
 * @throws FencedError when the fence is not of this epoch
 */
export async function takeFirstContact(
  executor: Executor,
  fence: Fence,
  messageId: string,
  most: number,
): Promise<FirstContact> {
  const row = await firstRow(
    executor,
    sql<{ answer: { isFirst: boolean; isFree: boolean; until: string | null } | null }>`
      select take_first_contact(${fence.companyNo}, ${fence.numberNo}, ${fence.epoch}, ${messageId}, ${most}) as answer`,
  );
  if (!row?.answer) throw new FencedError(fence);
  const { until, ...answer } = row.answer;
  return { ...answer, until: until === null ? null : new Date(until) };
}

/**
 * Gives messages that these fences' owner claimed without getting to know of it back to be claimed again; those
 * in `known` are really under way. They do not expire, as they may have been tried before. Returns how many.
 */
export async function recoverSends(
  executor: Executor,
  fences: readonly Fence[],
  known: readonly string[],
): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ count: number }>`select recover_sends(${fences.map(({ companyNo }) => companyNo)}::int[],
      ${fences.map(({ numberNo }) => numberNo)}::int[], ${fences.map(({ epoch }) => epoch)}::bigint[],
      ${known}::text[]) as count`,
  );
  return row?.count ?? 0;
}

/**
 * Stores what WhatsApp does not let the number send (null: nothing), in a fenced transaction. When it ends,
 * messages that were held until a time may go at once.
 */
export async function setRestriction(
  tx: Tx,
  fence: Fence,
  restriction: Restriction | null,
): Promise<void> {
  const count = await changed(
    tx,
    sql`update numbers set restriction = ${restriction && JSON.stringify(restriction)}::jsonb
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo}`,
  );
  if (count === 0) throw new Error("a restriction was set outside its fenced transaction");
  if (restriction !== null) return;
  await sql`update messages set send_after = null
    where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and is_next
      and state = 'queued' and send_after is not null`.execute(tx);
}

/**
 * A message that went out under this id at most so long ago, to be sent once more because a device could not read
 * it. Nothing that was edited or deleted since: an old form of it must not come back.
 */
export async function findSent(
  executor: Executor,
  fence: Fence,
  providerMessageId: string,
  withinMs: number,
): Promise<Send | undefined> {
  return firstRow(
    executor,
    sql<Send>`select ${sendColumns} from messages m ${sendTables}
      where m.company_no = ${fence.companyNo} and m.number_no = ${fence.numberNo}
        and m.provider_message_id = ${providerMessageId} and m.direction = 'out'
        and m.state in ('sending', 'sent', 'delivered', 'read', 'unknown')
        and m.edited_at is null and m.deleted_at is null
        and m.message_id >= message_id_from(clock_timestamp() - ${withinMs}::bigint * interval '1 millisecond')
          collate "C"
      limit 1`,
  );
}
