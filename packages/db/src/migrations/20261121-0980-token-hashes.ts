/** By a hash of the token it is seen whether two numbers, also of two companies, have the same one. */
import type { Kysely } from "kysely";
import { grant, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, security);
}

/* Of numbers that have a token already their owner notes it when it next confirms them. */
const tables = `
alter table numbers add token_hash bytea check (length(token_hash) = 32);
create index numbers_token_hash on numbers (token_hash) where token_hash is not null;
`;

const security = [
  grant("app", "insert (token_hash), update (token_hash)", "numbers"),
  grant("platform", "insert (token_hash), update (token_hash)", "numbers"),
  grant("worker", "update (token_hash)", "numbers"),
].join("\n");
