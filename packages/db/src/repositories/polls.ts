import { sql } from "kysely";
import { type Executor, firstRow } from "../open.ts";
import type { Fence } from "./fence.ts";

/**
 * What a poll of this number offers, by WhatsApp's id; undefined when the poll is not known (any more). Of
 * several the first: whoever repeats the id of somebody's poll does not change what that offers.
 */
export async function findPollOptions(
  executor: Executor,
  { companyNo, numberNo }: Pick<Fence, "companyNo" | "numberNo">,
  providerMessageId: string,
): Promise<string[] | undefined> {
  const row = await firstRow(
    executor,
    sql<{ options: string[] | null }>`
      select content -> 'poll' -> 'options' as options from messages
      where company_no = ${companyNo} and number_no = ${numberNo}
        and provider_message_id = ${providerMessageId} and type = 'poll'
      order by message_id limit 1`,
  );
  return row?.options ?? undefined;
}
