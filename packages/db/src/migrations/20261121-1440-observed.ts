/** What comes in may give the owner of a number a command: what it says is the owner's to write. */
import type { Kysely } from "kysely";
import { ANY_HELD_COMPANY, grant, policy, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, security);
}

const security = [
  grant(
    "ingest",
    `select (company_no, number_no, verb, state, finished_at),
      insert (company_no, command_id, number_no, verb, deadline_at)`,
    "commands",
  ),
  policy("commands", "ingest", "select", ANY_HELD_COMPANY),
  policy("commands", "ingest", "insert", `verb = 'observed' and ${ANY_HELD_COMPANY}`),
].join("\n");
