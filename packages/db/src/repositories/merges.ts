/** People who turned out to be one: their chats at the number that told it, and what is told of it. */
import type { OutgoingEvent } from "@manyline/contracts";
import { sql } from "kysely";
import { firstRow, rows, type Tx } from "../open.ts";
import { mergedEvent } from "./inbound-events.ts";
import type { InboundSource } from "./inbound-items.ts";
import { personOf, type PersonRow } from "./message-rows.ts";

/** The contact that goes on, and the one that was merged into it. */
export type MergedPeople = { intoNo: number; lostNo: number };

/** Merges the chats that both have at the number, and answers what is to be told. */
export async function mergeEvents(
  tx: Tx,
  source: InboundSource,
  { intoNo, lostNo }: MergedPeople,
): Promise<OutgoingEvent[]> {
  const { companyNo, numberNo } = source.fence;
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
  return row ? mergedEvent(source, personOf(row.person), row.lostId, chats) : [];
}

/** Two phones that are one person, as a number learnt. */
export type PhonePair = { source: InboundSource; phones: readonly [string, string] };

/**
 * Notes that phones are of one person, under the fences of the numbers; those of a fence that is another's are left
 * out. Give them in the order of their companies. By pair what is to be told.
 */
export async function joinPhones<Pair extends PhonePair>(
  tx: Tx,
  pairs: readonly Pair[],
): Promise<Map<Pair, OutgoingEvent[]>> {
  const told = new Map<Pair, OutgoingEvent[]>();
  if (pairs.length === 0) return told;
  const fences = pairs.map(({ source }) => source.fence);
  const merged = await rows(
    tx,
    sql<MergedPeople & { place: number }>`select * from join_phones(
      ${fences.map(({ companyNo }) => companyNo)}::int[], ${fences.map(({ numberNo }) => numberNo)}::int[],
      ${fences.map(({ epoch }) => epoch)}::bigint[], ${pairs.map(({ phones }) => phones[0])}::text[],
      ${pairs.map(({ phones }) => phones[1])}::text[])`,
  );
  for (const { place, ...people } of merged) {
    const pair = pairs[place - 1];
    if (pair) told.set(pair, await mergeEvents(tx, pair.source, people));
  }
  return told;
}
