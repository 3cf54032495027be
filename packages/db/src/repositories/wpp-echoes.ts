/** Echoes of our own sends that are faster than the status in which the platform names them. */
import type { WppItem } from "@manyline/contracts";
import { sql } from "kysely";
import { firstRow, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";

/**
 * What the server called the message at first that this one shows: sent from here a moment ago, to the same person, of the
 * same words, and not named since. Undefined: the phone wrote it. The number must be held. Role ingest.
 */
export async function taskOfEcho(
  tx: Tx,
  { companyNo, numberNo }: Fence,
  { input }: WppItem,
): Promise<string | undefined> {
  if (input?.kind !== "message" || input.event !== "echoed") return undefined;
  if (input.providerMessageId === null || input.chat.type !== "direct") return undefined;
  const { phone = null, lid = null } = input.chat.person;
  const row = await firstRow(
    tx,
    sql<{ task: string }>`select m.provider_message_id as task from contacts p
      join chats h on h.company_no = p.company_no and h.contact_no = p.contact_no and h.number_no = ${numberNo}
      join messages m on m.company_no = h.company_no and m.chat_no = h.chat_no
        and m.message_id > message_id_from(statement_timestamp() - interval '1 hour') collate "C"
      where p.company_no = ${companyNo} and (p.phone = ${phone} or p.lid = ${lid})
        and m.number_no = ${numberNo} and m.direction = 'out' and m.contact_no is null and m.task_id is null
        and m.state in ('sent', 'delivered', 'read', 'unknown')
        and m.state_at > statement_timestamp() - interval '1 minute'
        and m.provider_message_id not like 'true\\_%'
        and m.type = ${input.type} and coalesce(m.text, '') = ${input.text ?? ""}
      order by m.message_id limit 1`,
  );
  return row?.task;
}
