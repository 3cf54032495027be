/** Which numbers have the token of the environment, so that another one there reaches them and no others. */
import type { Kysely } from "kysely";
import { grant, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, "alter table numbers add has_common_token boolean not null default false;");
  for (const role of ["app", "platform"] as const) {
    await run(db, grant(role, "update (has_common_token)", "numbers"));
  }
}
