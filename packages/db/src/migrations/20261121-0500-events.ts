/** The event log, partitioned by day (UTC), with a default partition for what nobody made room for. */
import type { Kysely } from "kysely";
import { HELD_COMPANY, OWN, grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
  await run(db, "select create_event_partitions(3);");
}

const tables = `
create sequence whatsapp_events_no;

create table whatsapp_events (
  company_no int not null,
  event_no bigint not null default nextval('whatsapp_events_no'),
  event_id text not null,
  number_no int,
  type text not null,
  subject text not null,
  envelope json not null,
  created_at timestamptz not null default date_trunc('milliseconds', clock_timestamp()),
  incarnation text,
  stream_seq bigint,
  published_at timestamptz,
  primary key (company_no, event_no, created_at)
) partition by range (created_at);
create index whatsapp_events_id on whatsapp_events (company_no, event_id);
create index whatsapp_events_unmarked on whatsapp_events (event_no) where stream_seq is null;
create index whatsapp_events_marked on whatsapp_events (incarnation, stream_seq);

create table whatsapp_events_default partition of whatsapp_events default;
`;

/*
 * Only the owner of a table can give it partitions, hence SECURITY DEFINER. Rows that fell into the
 * default partition (nobody made the day's partition in time) are moved into the new one. They wait at
 * most 2 s for their locks, because every commit of an event waits behind them meanwhile.
 */
const functions = `
create function create_event_partitions(p_days_ahead int) returns int
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  v_day date;
  v_name text;
  v_made int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('create_event_partitions'));
  for v_day in
    select d::date from generate_series(current_date, current_date + p_days_ahead, interval '1 day') d
  loop
    v_name := 'whatsapp_events_' || to_char(v_day, 'YYYYMMDD');
    continue when to_regclass(v_name) is not null;
    execute format('create table %I (like whatsapp_events including defaults including constraints)', v_name);
    execute format(
      'with moved as (delete from whatsapp_events_default where created_at >= %L and created_at < %L returning *)
       insert into %I select * from moved',
      v_day::timestamptz, (v_day + 1)::timestamptz, v_name);
    execute format('alter table whatsapp_events attach partition %I for values from (%L) to (%L)',
      v_name, v_day::timestamptz, (v_day + 1)::timestamptz);
    execute format('alter table %I enable row level security', v_name);
    execute format('alter table %I force row level security', v_name);
    v_made := v_made + 1;
  end loop;
  return v_made;
end $$;

create function drop_event_partitions(p_keep_days int) returns int
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  v_name text;
  v_dropped int := 0;
begin
  if p_keep_days < 2 then
    raise exception 'the event log is what a lost stream is filled from: keep at least 2 days';
  end if;
  for v_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'whatsapp_events'::regclass and c.relname ~ '^whatsapp_events_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < current_date - p_keep_days
    order by c.relname
  loop
    execute format('drop table %I', v_name);
    v_dropped := v_dropped + 1;
  end loop;
  delete from whatsapp_events_default where created_at < current_date - p_keep_days;
  return v_dropped;
end $$;
`;

const INSERT = "insert (company_no, event_id, number_no, type, subject, envelope)";
const HELD_OR_COMPANY = `${HELD_COMPANY} and (number_no is null
  or number_no = nullif(current_setting('app.held_number', true), '')::int)`;

const security = [
  protect("whatsapp_events", "whatsapp_events_default"),
  onlyFor("create_event_partitions(int)", "worker"),
  onlyFor("drop_event_partitions(int)", "worker"),
  policy("whatsapp_events_default", "owner", "all", "true"),

  grant("app", `select, ${INSERT}`, "whatsapp_events"),
  grant("app", "usage", "sequence whatsapp_events_no"),
  policy("whatsapp_events", "app", "select", OWN),
  policy("whatsapp_events", "app", "insert", OWN),
  grant("platform", `select, delete, ${INSERT}`, "whatsapp_events"),
  grant("platform", "usage", "sequence whatsapp_events_no"),
  policy("whatsapp_events", "platform", "all", "true"),
  grant("worker", `select, ${INSERT}`, "whatsapp_events"),
  grant("worker", "usage", "sequence whatsapp_events_no"),
  policy("whatsapp_events", "worker", "select", "true"),
  policy("whatsapp_events", "worker", "insert", HELD_OR_COMPANY),
  grant("relay", "select, update (incarnation, stream_seq, published_at)", "whatsapp_events"),
  policy("whatsapp_events", "relay", "select", "true"),
  policy("whatsapp_events", "relay", "update", "true"),
].join("\n");
