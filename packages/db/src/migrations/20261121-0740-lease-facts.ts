/** What a company's status says about a shard without an owner: since when, and whether by an operator's wish. */
import type { Kysely } from "kysely";
import { grant, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, grant("app", "select (released_at, paused)", "shard_leases"));
}
