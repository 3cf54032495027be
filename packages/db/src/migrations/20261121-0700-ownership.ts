/**
 * Ownership by many workers: what operators ask of shards and workers, the history of moves, splitting and
 * merging, and many fences held at once.
 */
import type { Kysely } from "kysely";
import {
  alterPolicy,
  ANY_HELD,
  ANY_HELD_COMPANY,
  grant,
  onlyFor,
  policy,
  revoke,
  run,
} from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, fences);
  await run(db, shards);
  await run(db, retention);
  await run(db, security);
}

const tables = `
alter table shard_leases
  add claimed_at timestamptz,
  add moves int not null default 0,
  add pinned_to text,
  add paused boolean not null default false,
  add split_at int,
  add merge_next boolean not null default false;

alter table workers
  add host text not null default '',
  add version text not null default '',
  add drain_asked boolean not null default false,
  add numbers int not null default 0,
  add connected int not null default 0,
  add opening int not null default 0,
  add waiting int not null default 0;

create table shard_moves (
  move_no bigint primary key generated always as identity,
  shard_id int not null,
  epoch bigint not null,
  worker_id text,
  previous_worker_id text,
  how text not null check (how in ('claimed', 'taken_over', 'split', 'merged')),
  at timestamptz not null default clock_timestamp()
);
create index shard_moves_shard on shard_moves (shard_id, move_no desc);
create index shard_moves_at on shard_moves (at);

alter table company_counter add last_shard int not null default 0;
update company_counter set last_shard = (select coalesce(max(shard_id), 0) from shards);

alter table whatsapp_session_health
  add last_reconnect_ms int,
  add last_reconnect_at timestamptz;

-- number_no alone names a number: held fences are told by it.
drop index numbers_no;
create unique index numbers_no on numbers (number_no);
-- What a person changed is looked for every two seconds; the status moves neither column.
create index numbers_updated on numbers (updated_at);
create index companies_updated on companies (updated_at);

create function refuse_lower_epoch() returns trigger language plpgsql as $$
begin
  raise exception 'an epoch never falls (% to % in %)', old.epoch, new.epoch, tg_table_name;
end $$;
create trigger epoch_grows before update of epoch on number_fence
  for each row when (new.epoch < old.epoch) execute function refuse_lower_epoch();
create trigger epoch_grows before update of epoch on shard_leases
  for each row when (new.epoch < old.epoch) execute function refuse_lower_epoch();
`;

/*
 * note_held adds to what the transaction holds already: a fence that was locked stays locked until its end.
 * hold_fences locks in the order of the key, so that two batches never wait for each other in a circle, and
 * returns the numbers that held. touch_seen looks first and locks only what is due.
 */
const fences = `
create function note_held(p_companies int[], p_numbers int[], p_epochs bigint[]) returns void
language plpgsql as $$
declare
  v_companies int[] := nullif(current_setting('app.held_companies', true), '')::int[];
  v_numbers int[] := nullif(current_setting('app.held_numbers', true), '')::int[];
  v_epochs bigint[] := nullif(current_setting('app.held_epochs', true), '')::bigint[];
begin
  if v_numbers @> p_numbers then
    return;
  end if;
  perform set_config('app.held_companies', (coalesce(v_companies, '{}') || p_companies)::text, true),
          set_config('app.held_numbers', (coalesce(v_numbers, '{}') || p_numbers)::text, true),
          set_config('app.held_epochs', (coalesce(v_epochs, '{}') || p_epochs)::text, true);
end $$;

create function held_epoch(p_number int) returns bigint language sql stable as $$
  select (nullif(current_setting('app.held_epochs', true), '')::bigint[])[
    array_position(nullif(current_setting('app.held_numbers', true), '')::int[], p_number)]
$$;

create or replace function hold_fence(p_company int, p_number int, p_epoch bigint) returns boolean
language plpgsql as $$
begin
  perform 1 from number_fence
    where company_no = p_company and number_no = p_number and epoch = p_epoch
    for share;
  if not found then
    return false;
  end if;
  perform note_held(array[p_company], array[p_number], array[p_epoch]);
  return true;
end $$;

create function hold_fences(p_companies int[], p_numbers int[], p_epochs bigint[]) returns int[]
language plpgsql as $$
declare
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
begin
  with held as materialized (
    select f.company_no, f.number_no, f.epoch
    from unnest(p_companies, p_numbers, p_epochs) as w (company_no, number_no, epoch)
    join number_fence f
      on f.company_no = w.company_no and f.number_no = w.number_no and f.epoch = w.epoch
    order by f.company_no, f.number_no
    for share of f
  )
  select array_agg(company_no), array_agg(number_no), array_agg(epoch)
    into v_companies, v_numbers, v_epochs from held;
  if v_numbers is null then
    return '{}';
  end if;
  perform note_held(v_companies, v_numbers, v_epochs);
  return v_numbers;
end $$;

create function touch_seen(
  p_companies int[], p_numbers int[], p_epochs bigint[], p_apart interval
) returns int
language plpgsql as $$
declare
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
  v_count int;
begin
  select array_agg(w.company_no), array_agg(w.number_no), array_agg(w.epoch)
    into v_companies, v_numbers, v_epochs
    from unnest(p_companies, p_numbers, p_epochs) as w (company_no, number_no, epoch)
    join whatsapp_session_health h on h.company_no = w.company_no and h.number_no = w.number_no
    where h.last_seen is null or h.last_seen < clock_timestamp() - p_apart;
  if v_numbers is null then
    return 0;
  end if;
  v_numbers := hold_fences(v_companies, v_numbers, v_epochs);
  with due as materialized (
    select h.company_no, h.number_no from whatsapp_session_health h
    where h.company_no = any (v_companies) and h.number_no = any (v_numbers)
    order by h.company_no, h.number_no for no key update
  )
  update whatsapp_session_health h set last_seen = clock_timestamp() from due
    where h.company_no = due.company_no and h.number_no = due.number_no;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

/*
 * Both take the row of company_counter first, as creating a company does: no company is put into a range
 * while the range changes, and no shard_id is given twice. What moves is nobody's afterwards, with the
 * highest epoch there was: whoever claims it raises that epoch, and with it the fence of every number,
 * before it reads anything. An owner names the epochs in which it closed what moves: a call that was given
 * up and runs later changes nothing of a newer lease. They run as the owner of the tables, because a worker
 * may not move a company.
 */
const shards = `
create function split_shard(p_worker text, p_shard int, p_epoch bigint, p_at int) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_hi int;
  v_lease shard_leases;
  v_new int;
  v_all int;
  v_moved int;
  v_weight int;
begin
  perform 1 from company_counter for update;
  select * into v_lease from shard_leases l
    where l.shard_id = p_shard and (l.owner is null or l.owner = p_worker)
      and (p_epoch is null or l.epoch = p_epoch)
    for update;
  select s.hi into v_hi from shards s
    where s.shard_id = p_shard and s.lo < p_at and p_at < s.hi for update;
  if v_lease.shard_id is null or v_hi is null then
    return null;
  end if;
  update company_counter set last_shard =
    greatest(last_shard, (select max(s.shard_id) from shards s)) + 1 returning last_shard into v_new;
  select count(*), count(*) filter (where c.company_no >= p_at) into v_all, v_moved
    from companies c where c.shard_id = p_shard;
  v_weight := 1 + (v_lease.weight - 1) * v_moved / greatest(v_all, 1);

  update shards set hi = p_at, map_version = map_version + 1 where shard_id = p_shard;
  insert into shards (shard_id, lo, hi) values (v_new, p_at, v_hi);
  insert into shard_leases (shard_id, epoch, released_at, weight, paused, pinned_to)
    values (v_new, v_lease.epoch, clock_timestamp(), v_weight, v_lease.paused, v_lease.pinned_to);
  update shard_leases set split_at = null, weight = greatest(1, weight - v_weight + 1)
    where shard_id = p_shard;
  update companies set shard_id = v_new where shard_id = p_shard and company_no >= p_at;
  insert into shard_moves (shard_id, epoch, worker_id, previous_worker_id, how)
    values (v_new, v_lease.epoch, null, v_lease.owner, 'split');
  return v_new;
end $$;

create function merge_shards(p_worker text, p_shard int, p_epoch bigint, p_upper_epoch bigint) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_upper shards;
  v_count int;
  v_epoch bigint;
  v_weight int;
  v_owner text;
  v_pin text;
  v_apart boolean;
begin
  perform 1 from company_counter for update;
  select u.* into v_upper from shards s join shards u on u.lo = s.hi where s.shard_id = p_shard;
  if v_upper.shard_id is null then
    return null;
  end if;
  -- In the order in which renewals lock.
  with both_leases as materialized (
    select * from shard_leases where shard_id in (p_shard, v_upper.shard_id) order by shard_id for update
  )
  select count(*), max(epoch), sum(weight) - 1, max(owner), max(pinned_to), bool_or(paused) <> bool_and(paused)
    into v_count, v_epoch, v_weight, v_owner, v_pin, v_apart
    from both_leases
    where (owner is null or owner = p_worker)
      and epoch = coalesce(case when shard_id = p_shard then p_epoch else p_upper_epoch end, epoch);
  -- A pause of one of them must not be lost, nor be laid on the other.
  if v_count < 2 or v_apart then
    return null;
  end if;
  update companies set shard_id = p_shard where shard_id = v_upper.shard_id;
  delete from shards where shard_id = v_upper.shard_id;
  update shards set hi = v_upper.hi, map_version = map_version + 1 where shard_id = p_shard;
  update company_counter set last_shard = greatest(last_shard, v_upper.shard_id);
  update shard_leases set owner = null, expires_at = null, released_at = clock_timestamp(),
      epoch = v_epoch, weight = v_weight, merge_next = false, pinned_to = coalesce(pinned_to, v_pin)
    where shard_id = p_shard;
  insert into shard_moves (shard_id, epoch, worker_id, previous_worker_id, how)
    values (p_shard, v_epoch, null, v_owner, 'merged');
  return v_upper.shard_id;
end $$;
`;

/*
 * Deleting what is old needs no fence; so that a worker can delete nothing else, it has no right to delete
 * in these tables, and these functions choose the rows.
 */
const retention = `
create function delete_old_attempts(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from pairing_attempts where ended_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_watches(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from pairing_watch where until < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_tokens(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from api_tokens
    where expires_at < statement_timestamp() - p_keep or revoked_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const INTS = "int[], int[], bigint[]";
const HELD_EVENT = `case when number_no is null then ${ANY_HELD_COMPANY} else ${ANY_HELD} end`;

const security = [
  onlyFor(`note_held(${INTS})`, "worker"),
  onlyFor("held_epoch(int)", "worker"),
  onlyFor(`hold_fences(${INTS})`, "worker"),
  onlyFor(`touch_seen(${INTS}, interval)`, "worker"),
  onlyFor("split_shard(text, int, bigint, int)", "worker", "platform"),
  onlyFor("merge_shards(text, int, bigint, bigint)", "worker", "platform"),
  onlyFor("delete_old_attempts(interval)", "worker"),
  onlyFor("delete_old_watches(interval)", "worker"),
  onlyFor("delete_old_tokens(interval)", "worker"),

  // One transaction may hold the fences of many numbers.
  alterPolicy("auth_creds", "owner", "all", ANY_HELD),
  alterPolicy("auth_keys", "owner", "all", ANY_HELD),
  alterPolicy("auth_key_packs", "owner", "all", ANY_HELD),
  alterPolicy("companies", "worker", "update", ANY_HELD_COMPANY),
  alterPolicy("numbers", "worker", "update", ANY_HELD),
  alterPolicy("pairing_attempts", "worker", "insert", ANY_HELD),
  alterPolicy("pairing_attempts", "worker", "update", ANY_HELD),
  alterPolicy("whatsapp_session_health", "worker", "insert", ANY_HELD),
  alterPolicy("whatsapp_session_health", "worker", "update", ANY_HELD),
  alterPolicy("audit_log", "worker", "select", ANY_HELD_COMPANY),
  alterPolicy("audit_log", "worker", "insert", ANY_HELD_COMPANY),
  alterPolicy("whatsapp_events", "worker", "insert", HELD_EVENT),

  // What the functions that run as the owner may do.
  policy("companies", "owner", "update", "true"),
  policy("pairing_attempts", "owner", "delete", "ended_at is not null"),
  policy("pairing_watch", "owner", "select", "true"),
  policy("pairing_watch", "owner", "delete", "until < clock_timestamp()"),

  revoke("worker", "delete", "pairing_attempts"),
  "drop policy worker_delete on pairing_attempts;",
  revoke("worker", "delete", "pairing_watch"),
  "drop policy worker_all on pairing_watch;",
  policy("pairing_watch", "worker", "select", "true"),
  revoke("worker", "delete, select (expires_at, revoked_at, kind)", "api_tokens"),
  "drop policy worker_delete on api_tokens;",
  "drop policy worker_select on api_tokens;",

  grant("worker", "update (last_reconnect_ms, last_reconnect_at)", "whatsapp_session_health"),
  grant("worker", "update (claimed_at, moves)", "shard_leases"),
  grant("worker", "select, insert, delete", "shard_moves"),
  grant("platform", "select", "shard_moves"),
  grant("platform", "update (pinned_to, paused, split_at, merge_next)", "shard_leases"),
  grant("platform", "update (drain_asked)", "workers"),
  grant("platform", "update (last_shard)", "company_counter"),
  grant("platform", "select, insert, update", "housekeeping"),
].join("\n");
