/** Bulk jobs: one command for each of many numbers, at a pace, with progress. */
import type { Kysely } from "kysely";
import { grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
create table jobs (
  job_id text primary key,
  kind text not null check (kind in ('reconnect', 'pair')),
  state text not null default 'running' check (state in ('running', 'cancelled', 'done')),
  per_second int not null check (per_second > 0),
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz
);
create index jobs_open on jobs (job_id) where finished_at is null;

create table job_items (
  job_id text not null references jobs on delete cascade,
  company_no int not null,
  number_no int not null,
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'done', 'failed', 'skipped')),
  command_id text,
  reason text,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (job_id, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 70);
create index job_items_state on job_items (job_id, state, number_no);
create index job_items_number on job_items (company_no, number_no);
`;

const functions = `
create function delete_old_jobs(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from jobs where finished_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const security = [
  protect("jobs", "job_items"),
  onlyFor("delete_old_jobs(interval)", "worker"),
  policy("jobs", "owner", "select", "true"),
  policy("jobs", "owner", "delete", "finished_at is not null"),
  grant("platform", "select, insert, update (state, finished_at)", "jobs"),
  policy("jobs", "platform", "all", "true"),
  grant("platform", "select, insert, update (state, command_id, reason, updated_at)", "job_items"),
  policy("job_items", "platform", "all", "true"),
].join("\n");
