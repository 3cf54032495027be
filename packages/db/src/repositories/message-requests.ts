/** What the gateway looks up before it asks an owner for something. Role app, in `withCompany`. */
import type { ChatAddress } from "@manyline/contracts";
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import type { Recipient } from "./sends.ts";

/** The request that used an `Idempotency-Key` before, for as long as it is remembered. */
export async function findRequest(
  executor: Executor,
  companyNo: number,
  key: string,
): Promise<{ hash: Buffer; messageId: string } | undefined> {
  return firstRow(
    executor,
    sql<{
      hash: Buffer;
      messageId: string;
    }>`select request_hash as hash, message_id from idempotency
      where company_no = ${companyNo} and key = ${key}`,
  );
}

/** How WhatsApp names a recipient; undefined when there is no such contact, or chat of this number. */
export async function addressOf(
  executor: Executor,
  { companyNo, numberNo }: { companyNo: number; numberNo: number },
  to: Recipient,
): Promise<ChatAddress | undefined> {
  const unknown = { phone: null, lid: null, groupId: null };
  if ("phone" in to) return { ...unknown, phone: to.phone };
  if ("lid" in to) return { ...unknown, lid: to.lid };
  if ("groupId" in to) return { ...unknown, groupId: to.groupId };
  const root =
    "contactId" in to
      ? sql`select coalesce(merged_into, contact_no) as contact_no, null as group_id from contacts
          where company_no = ${companyNo} and contact_id = ${to.contactId}`
      : sql`select coalesce(w.merged_into, w.contact_no) as contact_no, r.provider_chat_id as group_id
          from chats c
          join chats r on r.company_no = c.company_no and r.chat_no = case when c.merged_into is null then c.chat_no else c.merged_into end
          left join contacts w on w.company_no = r.company_no and w.contact_no = r.contact_no
          where c.company_no = ${companyNo} and c.number_no = ${numberNo} and c.chat_id = ${to.chatId}`;
  return firstRow(
    executor,
    sql<ChatAddress>`select p.phone, p.lid, o.group_id from (${root}) o
      left join contacts p on p.company_no = ${companyNo} and p.contact_no = o.contact_no`,
  );
}

/** A message as receipts name it: by WhatsApp's id, and in a group by its writer. */
export type MessageKey = {
  messageId: string;
  chatId: string;
  providerMessageId: string;
  phone: string | null;
  lid: string | null;
};

/** Those of these messages that others wrote to the number, and the chats they are in. */
export async function inboundKeys(
  executor: Executor,
  { companyNo, numberNo }: { companyNo: number; numberNo: number },
  messageIds: readonly string[],
): Promise<MessageKey[]> {
  return rows(
    executor,
    sql<MessageKey>`select m.message_id, r.chat_id, m.provider_message_id, p.phone, p.lid from messages m
      join chats c on c.company_no = m.company_no and c.chat_no = m.chat_no
      join chats r on r.company_no = c.company_no and r.chat_no = case when c.merged_into is null then c.chat_no else c.merged_into end
      left join contacts w on w.company_no = m.company_no and w.contact_no = m.contact_no
      left join contacts p on p.company_no = m.company_no and p.contact_no = case when w.merged_into is null then w.contact_no else w.merged_into end
      where m.company_no = ${companyNo} and m.message_id = any (${[...messageIds]}::text[])
        and m.number_no = ${numberNo} and m.direction = 'in'
      order by m.message_id`,
  );
}

/** WhatsApp's id of the latest message that somebody wrote in the chat with these; undefined: there is none. */
export async function lastInboundId(
  executor: Executor,
  { companyNo, numberNo }: { companyNo: number; numberNo: number },
  to: Recipient,
): Promise<string | undefined> {
  const person = (kind: string, value: string) => sql`c.contact_no = (
    select coalesce(w.merged_into, w.contact_no) from contact_aliases a
    join contacts w on w.company_no = a.company_no and w.contact_no = a.contact_no
    where a.company_no = ${companyNo} and a.kind = ${kind} and a.value = ${value})`;
  const place =
    "phone" in to
      ? person("phone", to.phone)
      : "lid" in to
        ? person("lid", to.lid)
        : "groupId" in to
          ? sql`c.provider_chat_id = ${to.groupId}`
          : "chatId" in to
            ? sql`c.chat_id = ${to.chatId}`
            : sql`c.contact_no = (select coalesce(w.merged_into, w.contact_no) from contacts w
                where w.company_no = ${companyNo} and w.contact_id = ${to.contactId})`;
  const row = await firstRow(
    executor,
    sql<{ providerMessageId: string }>`select m.provider_message_id from chats c
      join messages m on m.company_no = c.company_no and m.chat_no = case when c.merged_into is null then c.chat_no else c.merged_into end
      where c.company_no = ${companyNo} and c.number_no = ${numberNo} and ${place}
        and m.number_no = ${numberNo} and m.direction = 'in'
      order by m.message_id desc limit 1`,
  );
  return row?.providerMessageId;
}
