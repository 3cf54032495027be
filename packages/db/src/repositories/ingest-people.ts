import { sql } from "kysely";
import { firstRow, type Tx } from "../open.ts";
import { appendEvents, type StoredEvent } from "./events.ts";
import { nameable } from "./inbound-batch.ts";
import type { Group, SamePiece } from "./ingest-routes.ts";
import { mergeEvents, type MergedPeople } from "./merges.ts";

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
    const merged = await join(tx, companyNo, one);
    if (!merged) continue;
    const told = await mergeEvents(tx, source, merged);
    const inputs = told.map((event) => ({ companyNo, numberNo, event }));
    events.push(...(await appendEvents(tx, inputs)));
  }
  return events;
}

const orNull = (text: string | undefined): string | null =>
  text === undefined ? null : nameable(text);

async function join(
  tx: Tx,
  companyNo: number,
  { was, is }: SamePiece,
): Promise<MergedPeople | undefined> {
  const found = await firstRow(
    tx,
    sql<{ intoNo: number; lostNo: number | null }>`select * from same_person(${companyNo},
      ${orNull(was.phone)}, ${orNull(was.userId)}, ${orNull(is.phone)}, ${orNull(is.userId)})`,
  );
  if (!found || found.lostNo === null) return undefined;
  return { intoNo: found.intoNo, lostNo: found.lostNo };
}
