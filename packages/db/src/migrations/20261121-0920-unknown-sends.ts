/** Messages of which nobody can say whether they were sent: found by their age, without an index over states. */
import type { Kysely } from "kysely";
import { grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, security);
}

/*
 * An index over the state of messages would cost every step of every message. Few become unknown; a trigger notes
 * those. What has become of them since is looked up by their id.
 */
const tables = `
create table unknown_sends (
  company_no int not null,
  message_id text collate "C" not null,
  number_no int not null,
  at timestamptz not null default clock_timestamp(),
  primary key (company_no, message_id)
);
create index unknown_sends_at on unknown_sends (at);

create function note_unknown_send() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into unknown_sends (company_no, message_id, number_no)
    values (new.company_no, new.message_id, new.number_no) on conflict do nothing;
  return null;
end $$;
create trigger unknown after update of state on messages for each row
  when (new.state = 'unknown' and old.state <> 'unknown') execute function note_unknown_send();

create function delete_known_sends() returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from unknown_sends u where not exists (
    select from messages m where m.company_no = u.company_no and m.message_id = u.message_id
      and m.state = 'unknown');
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const security = [
  protect("unknown_sends"),
  onlyFor("note_unknown_send()"),
  onlyFor("delete_known_sends()", "worker"),
  policy("unknown_sends", "owner", "all", "true"),
  grant("worker", "select", "unknown_sends"),
  policy("unknown_sends", "worker", "select", "true"),
].join("\n");
