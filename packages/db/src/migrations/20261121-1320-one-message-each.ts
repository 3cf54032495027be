/** A message is found by its own name alone, however many messages the company has: see 1300. */
import { type Kysely, sql } from "kysely";
import { run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, indexes);
  await byNameAlone(db);
}

/*
 * Row security names companies and numbers a second time, as lists. So the planner thinks that hardly one row is of the
 * company, and that an index which begins with it is as good as that by WhatsApp's id. A chat's number is its own among
 * those of all companies.
 */
const indexes = `
drop index messages_chat;
create index messages_chat on messages (chat_no, message_id);
drop index messages_provider;
create index messages_provider on messages (provider_message_id);
`;

/* The company is asked of what was found, in a way that no index knows. */
async function byNameAlone(db: Kysely<unknown>): Promise<void> {
  const { rows } = await sql<{
    text: string;
  }>`select pg_get_functiondef(p.oid) as text from pg_proc p
    where p.pronamespace = 'public'::regnamespace and p.prosrc ~ ${PATTERN}`.execute(db);
  for (const { text } of rows) {
    await run(db, text.replaceAll(new RegExp(PATTERN, "g"), "m.company_no + 0 = $1"));
  }
}
const PATTERN = String.raw`m\.company_no = (\S+ and m\.number_no = \S+\s+and m\.provider_message_id)`;
