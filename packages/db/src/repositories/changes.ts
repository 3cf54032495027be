import type { OutgoingEvent } from "@manyline/contracts";
import { sql } from "kysely";
import { rows, type Tx } from "../open.ts";
import { seenHash } from "./inbound-batch.ts";
import { changeEvent } from "./inbound-events.ts";
import type { ChangeItem, InboundSource } from "./inbound-items.ts";
import { chatOf, ownPerson } from "./message-rows.ts";
import type { Status, StatusNews } from "./statuses.ts";

/**
 * Our own reactions, edits and deletions that were sent: applied, and noted as seen, so that their echo is not
 * told once more. Returns the events, with their places in the chats.
 */
export async function noteChanges(
  tx: Tx,
  source: InboundSource,
  statuses: readonly Status[],
  news: readonly StatusNews[],
): Promise<OutgoingEvent[]> {
  const { companyNo, numberNo } = source.fence;
  const changes = news.flatMap((one) => {
    const item = itemOf(one, statuses[one.place - 1]?.at ?? new Date());
    return item && one.content?.context
      ? [{ one, item, targetId: one.content.context.messageId }]
      : [];
  });
  if (changes.length === 0) return [];
  await sql`insert into seen (company_no, number_no, hash)
    select ${companyNo}::int, ${numberNo}::int, hash from unnest(${changes.map(({ item }) => seenHash(item))}::bytea[]) hash
    on conflict do nothing`.execute(tx);
  await sql`select apply_changes(${companyNo}, ${changes.map(({ targetId }) => targetId)}::text[],
    ${changes.map(({ item }) => item.kind)}::text[],
    ${changes.map(({ item }) => (item.kind === "edit" ? item.text : item.kind === "reaction" ? item.emoji : null))}::text[],
    ${changes.map(() => "me")}::text[],
    ${changes.map(({ item }) => item.at.toISOString())}::timestamptz[])`.execute(tx);
  const seqs = await rows(
    tx,
    sql<{ chatNo: number; seq: number }>`update chats c set seq = c.seq + n.count
      from (select chat_no, count(*) as count from unnest(${changes.map(({ one }) => one.chat[0])}::bigint[]) as chat_no
        group by 1) n
      where c.company_no = ${companyNo} and c.chat_no = n.chat_no
      returning c.chat_no, c.seq - n.count as seq`,
  );
  const places = new Map(seqs.map(({ chatNo, seq }) => [chatNo, seq]));
  return changes.map(({ one, item, targetId }) => {
    const seq = (places.get(one.chat[0]) ?? 0) + 1;
    places.set(one.chat[0], seq);
    const place = { chat: chatOf(one.chat), from: ownPerson(source), seq };
    return changeEvent(source, item, place, targetId);
  });
}

/** Our own change as if it had come in. */
function itemOf(
  { type, text, content, providerMessageId }: StatusNews,
  at: Date,
): ChangeItem | undefined {
  const target = content?.context?.providerMessageId;
  if (target === undefined) return undefined;
  const base = {
    target,
    providerMessageId,
    from: null,
    at,
    chat: { type: "group", providerChatId: "" },
  } as const;
  if (type === "reaction") return { ...base, kind: type, emoji: content?.emoji ?? null };
  if (type === "edit") return { ...base, kind: type, text };
  return type === "delete" ? { ...base, kind: type } : undefined;
}
