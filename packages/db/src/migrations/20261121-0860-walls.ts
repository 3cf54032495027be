/** Who may delete a message of somebody else, and how many messages of a company may wait when all come at once. */
import type { Kysely } from "kysely";
import { replaceIn } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await replaceIn(db, "open_inbound", "i.kind not in ('edit', 'delete') or", [
    "i.kind not in ('edit', 'delete', 'admin_delete') or",
  ]);
  await replaceIn(db, "open_inbound", "i.kind = 'delete' and p_chat_groups[i.chat] is not null", [
    "i.kind = 'admin_delete' and p_chat_groups[i.chat] is not null",
  ]);
  await replaceIn(db, "open_send", "if v_open >= p_most then", queue);
}

/*
 * Counting sees what is committed, and twenty requests of one company may count at once: where the last places
 * are given away, they do it one after another.
 */
const queue = [
  "if v_open between p_most - 256 and p_most - 1 then",
  "    perform pg_advisory_xact_lock(hashtext('queue'), p_company);",
  "    select count(*) into v_open from (",
  "      select from messages where company_no = p_company and is_open limit p_most) o;",
  "  end if;",
  "  if v_open >= p_most then",
];
