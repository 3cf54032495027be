/** Messages, the people and chats they belong to, and the journal of what was decrypted. */
import type { Kysely } from "kysely";
import { run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, partitions);
  await run(db, journal);
  await run(db, removal);
  await run(db, "select create_message_partitions(2);");
}

/*
 * Tables that get a row with every message name their number without a foreign key: its check would lock
 * the number's row each time. Rows of a removed number are deleted by purge_removed_numbers; company_no and
 * number_no are never given twice.
 *
 * The time of a message is in its id (a UUIDv7), so the id is the partition key and no second column is
 * needed. is_open and is_next exist for the two partial indexes: state itself is in none, so that the many
 * small steps of a message's life touch no index.
 */
const tables = `
create table contacts (
  company_no int not null references companies on delete cascade,
  contact_no bigint not null generated always as identity,
  contact_id text not null,
  name text,
  phone text,
  lid text,
  user_id text,
  username text,
  merged_into bigint,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, contact_no),
  unique (company_no, contact_id)
);
create index contacts_merged on contacts (company_no, merged_into) where merged_into is not null;

create table contact_aliases (
  company_no int not null,
  kind text not null check (kind in ('phone', 'lid', 'user_id', 'username')),
  value text not null,
  contact_no bigint not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (company_no, kind, value),
  foreign key (company_no, contact_no) references contacts on delete cascade
);
create index contact_aliases_contact on contact_aliases (company_no, contact_no);

create table chats (
  company_no int not null,
  chat_no bigint not null generated always as identity,
  number_no int not null,
  chat_id text not null,
  type text not null check (type in ('direct', 'group')),
  contact_no bigint,
  provider_chat_id text,
  name text,
  seq bigint not null default 0,
  last_message_at timestamptz,
  last_inbound_at timestamptz,
  merged_into bigint,
  created_at timestamptz not null default clock_timestamp(),
  primary key (company_no, chat_no),
  unique (company_no, chat_id),
  foreign key (company_no, number_no) references numbers on delete cascade,
  check ((type = 'direct') = (provider_chat_id is null))
) with (fillfactor = 70);
create unique index chats_contact on chats (company_no, number_no, contact_no)
  where contact_no is not null and merged_into is null;
create unique index chats_provider on chats (company_no, number_no, provider_chat_id)
  where provider_chat_id is not null;

create table messages (
  company_no int not null,
  message_id text collate "C" not null,
  number_no int not null,
  chat_no bigint not null,
  contact_no bigint,
  direction text not null check (direction in ('in', 'echo', 'out')),
  state text not null check (state in ('received', 'echoed', 'waiting', 'queued', 'sending', 'sent',
    'delivered', 'read', 'unknown', 'failed', 'expired')),
  seq bigint not null,
  provider_message_id text not null,
  type text not null,
  text text,
  content json,
  at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  state_at timestamptz,
  edited_at timestamptz,
  deleted_at timestamptz,
  reactions jsonb,
  error jsonb,
  is_open boolean not null default false,
  is_next boolean not null default false,
  lane smallint,
  send_after timestamptz,
  expires_at timestamptz,
  attempts smallint,
  claimed_epoch bigint,
  claimed_at timestamptz,
  traceparent text,
  primary key (company_no, message_id)
) partition by range (message_id);
create index messages_chat on messages (company_no, chat_no, message_id);
create index messages_provider on messages (company_no, number_no, provider_message_id);
create index messages_open on messages (company_no, number_no, chat_no, seq) where is_open;
create index messages_next on messages (company_no, number_no, lane, message_id) where is_next;

create table messages_default partition of messages default;

create table media (
  company_no int not null,
  media_id text not null,
  number_no int not null,
  message_id text collate "C",
  kind text not null,
  mime_type text not null,
  bytes bigint,
  sha256 text,
  file_name text,
  source bytea,
  state text not null default 'remote' check (state in ('remote', 'stored', 'gone')),
  location text,
  created_at timestamptz not null default clock_timestamp(),
  stored_at timestamptz,
  primary key (company_no, media_id)
);
create index media_created on media (created_at);
create index media_message on media (company_no, message_id);
create index media_number on media (company_no, number_no);

create table inbound_journal (
  company_no int not null,
  number_no int not null,
  hash bytea not null,
  entry_no bigint not null generated always as identity,
  value bytea,
  received_at timestamptz not null default clock_timestamp(),
  done_at timestamptz,
  primary key (company_no, number_no, hash),
  check ((value is null) = (done_at is not null))
) with (fillfactor = 80);
create index inbound_journal_open on inbound_journal (company_no, number_no, entry_no) where done_at is null;
create index inbound_journal_done on inbound_journal (done_at);

create table seen (
  company_no int not null,
  number_no int not null,
  hash bytea not null,
  at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no, hash)
);
create index seen_at on seen (at);

create table idempotency (
  company_no int not null references companies on delete cascade,
  key text not null,
  request_hash bytea not null,
  message_id text collate "C" not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (company_no, key)
);
create index idempotency_created on idempotency (created_at);

create table removed_numbers (
  company_no int not null,
  number_no int not null,
  removed_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no)
);
`;

/* As with the event log, by months (UTC). The bounds are the smallest ids of their times. */
const partitions = `
create function message_id_from(p_at timestamptz) returns text
language sql immutable strict as $$
  select 'msg_' || lpad(to_hex(floor(extract(epoch from p_at) * 1000)::bigint), 12, '0')
$$;

create function create_message_partitions(p_months_ahead int) returns int
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  v_month timestamptz;
  v_name text;
  v_lo text;
  v_hi text;
  v_made int := 0;
begin
  perform pg_advisory_xact_lock(hashtext('create_message_partitions'));
  for v_month in
    select date_trunc('month', now()) + m * interval '1 month' from generate_series(0, p_months_ahead) m
  loop
    v_name := 'messages_' || to_char(v_month, 'YYYYMM');
    continue when to_regclass(v_name) is not null;
    v_lo := message_id_from(v_month);
    v_hi := message_id_from(v_month + interval '1 month');
    execute format(
      'create table %I (like messages including defaults including constraints) with (fillfactor = 80)', v_name);
    execute format(
      'with moved as (delete from messages_default where message_id >= %L and message_id < %L returning *)
       insert into %I select * from moved', v_lo, v_hi, v_name);
    execute format('alter table messages attach partition %I for values from (%L) to (%L)', v_name, v_lo, v_hi);
    execute format('alter table %I enable row level security', v_name);
    execute format('alter table %I force row level security', v_name);
    v_made := v_made + 1;
  end loop;
  return v_made;
end $$;

create function drop_message_partitions(p_keep_days int) returns int
language plpgsql security definer set search_path = public, pg_temp set timezone = 'UTC' set lock_timeout = '2s' as $$
declare
  v_name text;
  v_dropped int := 0;
begin
  if p_keep_days < 10 then
    raise exception 'messages are what repeated deliveries are known by: keep at least 10 days';
  end if;
  for v_name in
    select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = 'messages'::regclass and c.relname ~ '^messages_[0-9]{6}$'
      and to_date(right(c.relname, 6), 'YYYYMM') + interval '1 month' < now() - p_keep_days * interval '1 day'
    order by c.relname
  loop
    execute format('drop table %I', v_name);
    v_dropped := v_dropped + 1;
  end loop;
  delete from messages_default
    where message_id < message_id_from(now() - p_keep_days * interval '1 day') collate "C";
  return v_dropped;
end $$;
`;

/*
 * What was decrypted is stored by the very call that stores the ratchet: both or neither. A hash that is
 * there already stays as it is, so that an entry that was done never becomes open again.
 */
const journal = `
create function write_auth_journal(
  p_company int, p_number int, p_epoch bigint,
  p_erase boolean, p_creds bytea,
  p_put_kinds text[], p_put_keys text[], p_put_values bytea[],
  p_gone_kinds text[], p_gone_keys text[],
  p_pack_kind text, p_pack_id text, p_pack_keys text[], p_pack_value bytea,
  p_hashes bytea[], p_entries bytea[]
) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not write_auth(p_company, p_number, p_epoch, p_erase, p_creds, p_put_kinds, p_put_keys, p_put_values,
    p_gone_kinds, p_gone_keys, p_pack_kind, p_pack_id, p_pack_keys, p_pack_value) then
    return false;
  end if;
  insert into inbound_journal (company_no, number_no, hash, value)
    select p_company, p_number, hash, entry from unnest(p_hashes, p_entries) as j (hash, entry)
    on conflict (company_no, number_no, hash) do nothing;
  return true;
end $$;

create function delete_old_journal(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from inbound_journal where done_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_seen(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from seen where at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_idempotency(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from idempotency where created_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_media(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from media where created_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

/*
 * A number is removed at once, what it has by the thousands afterwards. Its fence went with it, so nobody
 * adds to it any more.
 */
const removal = `
create function note_removed_number() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into removed_numbers (company_no, number_no) values (old.company_no, old.number_no)
    on conflict do nothing;
  return null;
end $$;
create trigger removed after delete on numbers for each row execute function note_removed_number();

create function purge_removed_numbers(p_limit int) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_number removed_numbers;
  v_left int := p_limit;
  v_table text;
  v_count int;
begin
  for v_number in select * from removed_numbers order by removed_at limit 100 loop
    foreach v_table in array array['messages', 'media', 'inbound_journal', 'seen'] loop
      execute format('delete from %1$I where (tableoid, ctid) in (
          select tableoid, ctid from %1$I where company_no = $1 and number_no = $2 limit $3)', v_table)
        using v_number.company_no, v_number.number_no, v_left;
      get diagnostics v_count = row_count;
      v_left := v_left - v_count;
      if v_left <= 0 then
        return p_limit;
      end if;
    end loop;
    delete from removed_numbers r where r.company_no = v_number.company_no and r.number_no = v_number.number_no;
  end loop;
  return p_limit - v_left;
end $$;
`;
