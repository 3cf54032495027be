/** Webhooks that are kept as they came until they are committed. Role ingest. */
import { sql } from "kysely";
import { bigints, byteas, ints } from "../arrays.ts";
import { type Executor, rows, type Tx } from "../open.ts";
import type { IngestWebhook } from "./ingest-routes.ts";

/** One insert for all. Answers the entries' numbers, in the order of the webhooks. */
export async function journalWebhooks(
  executor: Executor,
  webhooks: readonly Pick<IngestWebhook, "raw" | "app">[],
): Promise<number[]> {
  const written = await rows(
    executor,
    sql<{ entryNo: number }>`insert into webhook_journal (company_no, payload)
      select w.company_no, w.payload
      from unnest(${ints(webhooks.map(({ app }) => app?.companyNo ?? null))}::int[],
        ${byteas(webhooks.map(({ raw }) => raw))}::bytea[]) with ordinality as w (company_no, payload, place)
      order by w.place returning entry_no`,
  );
  return written.map(({ entryNo }) => entryNo);
}

/**
 * Ends entries in the transaction that commits what is in them. Answers those that were still there: the others are
 * committed already, or will be by whoever ends them now.
 */
export async function endEntries(tx: Tx, entryNos: readonly number[]): Promise<Set<number>> {
  if (entryNos.length === 0) return new Set();
  const ended = await rows(
    tx,
    sql<{ entryNo: number }>`delete from webhook_journal
      where entry_no = any (${bigints(entryNos.toSorted((a, b) => a - b))}::bigint[]) returning entry_no`,
  );
  return new Set(ended.map(({ entryNo }) => entryNo));
}

export type WebhookEntry = { entryNo: number; payload: Buffer; app: IngestWebhook["app"] };

/** The oldest entries of at least that age, but for some; `bytes`: none after the one with which there are so many. */
export async function oldEntries(
  executor: Executor,
  options: { olderThanMs: number; except: readonly number[]; limit: number; bytes: number },
): Promise<WebhookEntry[]> {
  const { olderThanMs, except, limit, bytes } = options;
  const found = await rows(
    executor,
    sql<{
      entryNo: number;
      payload: Buffer;
      companyNo: number | null;
      companyId: string | null;
    }>`with old as (
        select j.entry_no, octet_length(j.payload) as size from webhook_journal j
        where j.received_at < clock_timestamp() - ${olderThanMs}::bigint * interval '1 millisecond'
          and not j.entry_no = any (${bigints([...except])}::bigint[])
        order by j.entry_no limit ${limit}
      ), sized as (
        select o.entry_no, sum(o.size) over (order by o.entry_no) - o.size as before from old o
      )
      select j.entry_no, j.payload, c.company_no, c.company_id
      from sized s join webhook_journal j using (entry_no)
      left join companies c on c.company_no = j.company_no
      where s.before < ${bytes} order by j.entry_no`,
  );
  return found.map(({ entryNo, payload, companyNo, companyId }) => ({
    entryNo,
    payload,
    app: companyNo === null || companyId === null ? null : { companyNo, companyId },
  }));
}
