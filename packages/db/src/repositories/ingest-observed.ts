/** What webhooks say of a number and only its owner may write: the owner gets a command, and asks. */
import { COMMANDS, newCommandId } from "@manyline/contracts";
import { sql } from "kysely";
import { rows, type Tx } from "../open.ts";
import type { News } from "./ingest-news.ts";

/** Of the quality of a number, how fast it may be, and how many people its portfolio may write to. */
const OBSERVED: ReadonlySet<string> = new Set([
  "number.quality_changed",
  "number.limit_changed",
  "account.limit_changed",
]);

/**
 * Gives the owners of the numbers that the news are about an `observed` each, unless one waits already; of an account,
 * those of all its active numbers in the company. In the transaction that stores the events. Role ingest.
 */
export async function noteObserved(tx: Tx, news: readonly News[]): Promise<void> {
  const told = news.flatMap(({ companyNo, numberNo, notice }) =>
    notice && OBSERVED.has(notice.event)
      ? [{ companyNo, numberNo, accountId: notice.data.accountId }]
      : [],
  );
  if (told.length === 0) return;
  const numbers = await rows(
    tx,
    sql<{ companyNo: number; numberNo: number }>`
      select distinct n.company_no, n.number_no
      from unnest(${told.map(({ companyNo }) => companyNo)}::int[], ${told.map(({ numberNo }) => numberNo)}::int[],
        ${told.map(({ accountId }) => accountId)}::text[]) as w (company_no, number_no, account_id)
      join numbers n on n.company_no = w.company_no and n.provider = 'meta' and n.is_active
        and (n.number_no = w.number_no or (w.number_no is null and n.waba_id = w.account_id))
      where not exists (
        select from commands c where c.company_no = n.company_no and c.number_no = n.number_no
          and c.finished_at is null and c.state = 'queued' and c.verb = 'observed')
      order by n.company_no, n.number_no`,
  );
  if (numbers.length === 0) return;
  await sql`insert into commands (company_no, command_id, number_no, verb, deadline_at)
    select w.company_no, w.command_id, w.number_no, 'observed',
      clock_timestamp() + ${COMMANDS.observed.deadlineMs}::bigint * interval '1 millisecond'
    from unnest(${numbers.map(({ companyNo }) => companyNo)}::int[], ${numbers.map(() => newCommandId())}::text[],
      ${numbers.map(({ numberNo }) => numberNo)}::int[]) as w (company_no, command_id, number_no)`.execute(
    tx,
  );
}
