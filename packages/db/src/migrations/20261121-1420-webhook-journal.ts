/** Webhooks that were answered before they were committed: see ADR 14. */
import type { Kysely } from "kysely";
import { grant, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, table);
  await run(db, security);
}

/* Rows live for seconds; what is left of them is cleared away often. */
const table = `
create table webhook_journal (
  entry_no bigint primary key generated always as identity,
  company_no int references companies on delete cascade,
  payload bytea not null,
  received_at timestamptz not null default clock_timestamp()
) with (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
alter table webhook_journal alter column payload set storage external;
`;

const security = [
  protect("webhook_journal"),
  grant("ingest", "select, delete, insert (company_no, payload)", "webhook_journal"),
  policy("webhook_journal", "ingest", "all", "true"),
].join("\n");
