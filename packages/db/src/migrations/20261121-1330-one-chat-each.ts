/** A chat is found by whom it is with, however many chats the company has: see 1320. */
import type { Kysely } from "kysely";
import { replaceIn, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, indexes);
  for (const name of ["contact_no = w.contact", "provider_chat_id = w.grp"]) {
    await replaceIn(
      db,
      "resolve_all_chats",
      `where c.company_no = w.company and c.number_no = w.number\n          and c.${name}`,
      [
        `where c.company_no + 0 = w.company and c.number_no + 0 = w.number\n          and c.${name}`,
      ],
    );
  }
}

const indexes = `
create index chats_of_contact on chats (contact_no) where contact_no is not null and merged_into is null;
create index chats_of_group on chats (provider_chat_id) where provider_chat_id is not null;
`;
