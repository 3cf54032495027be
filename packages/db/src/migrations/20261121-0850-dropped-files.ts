/** Which files of the media store nobody needs any more: their rows are deleted, or say that they are gone. */
import type { Kysely } from "kysely";
import { onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, dropped);
  await run(db, security);
}

/*
 * Noted in the transaction that drops the row, and forgotten when the file is removed: a crash in between has it
 * removed once more, which changes nothing.
 */
const dropped = `
create table dropped_files (
  company_no int not null,
  location text not null primary key,
  dropped_at timestamptz not null default clock_timestamp()
);
create index dropped_files_at on dropped_files (dropped_at);

create function note_dropped_file() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into dropped_files (company_no, location) values (old.company_no, old.location) on conflict do nothing;
  return null;
end $$;
create trigger dropped after delete on media for each row
  when (old.location is not null) execute function note_dropped_file();
create trigger gone after update of state on media for each row
  when (old.location is not null and new.state = 'gone') execute function note_dropped_file();

create function list_dropped_files(p_limit int) returns setof text
language sql stable security definer set search_path = public, pg_temp as $$
  select location from dropped_files order by dropped_at limit p_limit
$$;

create function forget_dropped_files(p_locations text[]) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from dropped_files where location = any (p_locations);
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const security = [
  protect("dropped_files"),
  policy("dropped_files", "owner", "all", "true"),
  onlyFor("note_dropped_file()"),
  onlyFor("list_dropped_files(int)", "worker"),
  onlyFor("forget_dropped_files(text[])", "worker"),
].join("\n");
