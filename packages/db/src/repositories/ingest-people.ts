import type { Person } from "@manyline/contracts";
import { sql } from "kysely";
import { firstRow, rows, type Tx } from "../open.ts";
import { appendEvents, type StoredEvent } from "./events.ts";
import { nameable } from "./inbound-batch.ts";
import { mergedEvent } from "./inbound-events.ts";
import type { Group, SamePiece } from "./ingest-routes.ts";
import { personOf, type PersonRow } from "./message-rows.ts";

/**
 * Where names are to be joined: the people of all companies, in one order, before anything else is locked that others
 * lock after them.
 */
export async function lockPeople(tx: Tx, groups: readonly Group[]): Promise<void> {
  if (groups.every(({ same }) => same.length === 0)) return;
  const companies = new Set(groups.map(({ source }) => source.fence.companyNo));
  await sql`select pg_advisory_xact_lock(hashtext('contacts'), w.company)
    from (select unnest(${[...companies]}::int[]) as company order by 1) w`.execute(tx);
}

/** Notes which names are of one person, and tells of contacts that turned out to be one. */
export async function joinPeople(tx: Tx, { source, same }: Group): Promise<StoredEvent[]> {
  const { companyNo, numberNo } = source.fence;
  const events: StoredEvent[] = [];
  for (const one of same) {
    const merged = await join(tx, companyNo, numberNo, one);
    if (!merged) continue;
    const { person, lostId, chats } = merged;
    const told = mergedEvent(source, person, lostId, chats);
    const inputs = told.map((event) => ({ companyNo, numberNo, event }));
    events.push(...(await appendEvents(tx, inputs)));
  }
  return events;
}

type Merged = { person: Person; lostId: string; chats: { chatId: string; into: string }[] };

const orNull = (text: string | undefined): string | null =>
  text === undefined ? null : nameable(text);

async function join(
  tx: Tx,
  companyNo: number,
  numberNo: number,
  { was, is }: SamePiece,
): Promise<Merged | undefined> {
  const found = await firstRow(
    tx,
    sql<{ intoNo: number; lostNo: number | null }>`select * from same_person(${companyNo},
      ${orNull(was.phone)}, ${orNull(was.userId)}, ${orNull(is.phone)}, ${orNull(is.userId)})`,
  );
  if (!found || found.lostNo === null) return undefined;
  const { intoNo, lostNo } = found;
  const chats = await rows(
    tx,
    sql<{ chatId: string; into: string }>`select chat_id, into_id as into
      from merge_chats(${companyNo}, ${numberNo}, ${lostNo}, ${intoNo})`,
  );
  const row = await firstRow(
    tx,
    sql<{
      person: PersonRow;
      lostId: string;
    }>`select json_build_array(c.contact_no, c.contact_id, c.phone, c.lid,
        c.user_id, c.username, c.name, false, '{}'::text[]) as person, l.contact_id as lost_id
      from contacts c join contacts l on l.company_no = ${companyNo} and l.contact_no = ${lostNo}
      where c.company_no = ${companyNo} and c.contact_no = ${intoNo}`,
  );
  return row && { person: personOf(row.person), lostId: row.lostId, chats };
}
