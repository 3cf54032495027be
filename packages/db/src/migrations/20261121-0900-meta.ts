/** Numbers of Meta's Cloud API, companies' own Meta apps, and what webhooks bring that nobody has a number for. */
import type { Kysely } from "kysely";
import { onlyFor, OWN, grant, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, played);
  await run(db, routes);
  await run(db, retention);
  await run(db, security);
}

/*
 * A number is active once Meta has confirmed that its token sees it under its account; only then its webhooks
 * are its own, so two companies cannot claim one number at a time, and a mistyped one claims nothing. Other ids have to be
 * confirmed again.
 */
const tables = `
alter table numbers
  add waba_id text,
  add phone_number_id text,
  add is_active boolean not null default false,
  add secrets bytea,
  add settings jsonb not null default '{}';
create unique index numbers_meta on numbers (waba_id, phone_number_id) where is_active;
create index numbers_waba on numbers (waba_id) where waba_id is not null;
create index numbers_phone_number_id on numbers (phone_number_id) where phone_number_id is not null;

create function deactivate_moved_number() returns trigger language plpgsql as $$
begin
  new.is_active := false;
  return new;
end $$;
create trigger moved before update of waba_id, phone_number_id on numbers for each row
  when ((old.waba_id, old.phone_number_id) is distinct from (new.waba_id, new.phone_number_id))
  execute function deactivate_moved_number();

create table meta_apps (
  company_no int primary key references companies on delete cascade,
  app_id text,
  app_secret bytea not null,
  previous_secret bytea,
  previous_until timestamptz,
  verify_token bytea not null,
  updated_at timestamptz not null default clock_timestamp()
);

create table unroutable (
  unroutable_no bigint primary key generated always as identity,
  hash bytea not null unique,
  reason text not null,
  app_company_id text,
  waba_id text,
  phone_number_id text,
  display_phone text,
  field text not null,
  pieces int not null,
  payload bytea not null,
  times int not null default 1,
  first_at timestamptz not null default clock_timestamp(),
  last_at timestamptz not null default clock_timestamp(),
  replay_at timestamptz
);
create index unroutable_place on unroutable (waba_id, phone_number_id);
create index unroutable_last on unroutable (last_at);
create index unroutable_replay on unroutable (replay_at) where replay_at is not null;
`;

/* A state more than there was. Partitions have the constraint of their own, as they were made. */
const played = `
alter table messages drop constraint messages_state_check;
do $$
declare
  v_table text;
begin
  for v_table in
    select c.conrelid::regclass::text from pg_constraint c
    where c.conname = 'messages_state_check' and c.conrelid in (
      select inhrelid from pg_inherits where inhparent = 'messages'::regclass)
  loop
    execute format('alter table %s drop constraint messages_state_check', v_table);
  end loop;
end $$;
alter table messages add constraint messages_state_check check (state in ('received', 'echoed', 'waiting',
  'queued', 'sending', 'sent', 'delivered', 'read', 'played', 'unknown', 'failed', 'expired'));

create or replace function state_rank(p_state text) returns int language sql immutable as $$
  select case p_state when 'queued' then 0 when 'sending' then 1 when 'unknown' then 2 when 'sent' then 3
    when 'failed' then 4 when 'expired' then 4 when 'delivered' then 5 when 'read' then 6 when 'played' then 7
    else 9 end
$$;
`;

/*
 * hold_routes says whose the pieces of webhooks are, in the transaction that stores them, and holds the fences
 * of those numbers at whatever epoch they have: row security lets this transaction write for these numbers and
 * no others, without anybody owning them. A piece with a phone number id is for the active number with this
 * very pair of ids. One without is for the number that is shown so, else once for each company with an active
 * number in the account (is_number false). p_only: the company whose own app has signed the piece; it can reach
 * nobody else.
 *
 * unknown_statuses answers the places of statuses whose message is not known, by neither of its ids.
 *
 * same_person notes that two names are one person, who is from now on called by the second. A phone may have
 * been somebody else's before: whoever has another business-scoped id stays who they are and loses the phone.
 */
const routes = `
create function hold_routes(p_wabas text[], p_phone_ids text[], p_displays text[], p_only int[])
returns table (
  place int, company_no int, number_no int, is_number boolean, epoch bigint, company_id text, number_id text,
  phone text
)
language plpgsql as $$
#variable_conflict use_column
declare
  v_places int[];
  v_companies int[];
  v_numbers int[];
  v_exact boolean[];
begin
  with wanted as (
    select * from unnest(p_wabas, p_phone_ids, p_displays, p_only) with ordinality
      as w (waba, phone_id, display, only_company, place)
  ), shown as (
    select w.place, n.company_no, n.number_no from wanted w
    join numbers n on n.waba_id = w.waba and n.is_active
      and case when w.phone_id is not null then n.phone_number_id = w.phone_id
        else n.phone_e164 = w.display end
    where w.only_company is null or n.company_no = w.only_company
  ), spread as (
    select distinct on (w.place, n.company_no) w.place, n.company_no, n.number_no from wanted w
    join numbers n on n.waba_id = w.waba and n.is_active
    where w.phone_id is null and (w.only_company is null or n.company_no = w.only_company)
      and not exists (select from shown s where s.place = w.place)
    order by w.place, n.company_no, n.number_no
  ), found as (
    select s.*, true as exact from shown s union all select s.*, false from spread s
  )
  select array_agg(f.place order by f.place, f.company_no), array_agg(f.company_no order by f.place, f.company_no),
      array_agg(f.number_no order by f.place, f.company_no), array_agg(f.exact order by f.place, f.company_no)
    into v_places, v_companies, v_numbers, v_exact from found f;
  if v_places is null then
    return;
  end if;
  return query
    with fences as materialized (
      select f.company_no, f.number_no, f.epoch from number_fence f
      where f.company_no = any (v_companies) and f.number_no = any (v_numbers)
      order by f.company_no, f.number_no
      for share
    ), noted as materialized (
      select note_held(array_agg(company_no), array_agg(number_no), array_agg(epoch)) from fences
    )
    select r.place, r.company_no, r.number_no, r.exact, f.epoch, c.company_id, n.number_id, n.phone_e164
    from unnest(v_places, v_companies, v_numbers, v_exact) as r (place, company_no, number_no, exact)
    join fences f on f.company_no = r.company_no and f.number_no = r.number_no
    join companies c on c.company_no = r.company_no
    join numbers n on n.company_no = r.company_no and n.number_no = r.number_no
    cross join noted
    order by r.place, r.company_no;
end $$;

create function unknown_statuses(p_company int, p_number int, p_ids text[], p_provider_ids text[])
returns int[]
language sql stable as $$
  select coalesce(array_agg(i.place::int order by i.place), '{}')
  from unnest(p_ids, p_provider_ids) with ordinality as i (id, provider_id, place)
  where not exists (
      select from messages m where m.company_no = p_company and m.message_id = i.id collate "C"
        and m.number_no = p_number and m.direction = 'out')
    and not exists (
      select from messages m where m.company_no = p_company and m.number_no = p_number
        and m.provider_message_id = i.provider_id and m.direction = 'out')
$$;

create function same_person(
  p_company int, p_was_phone text, p_was_user text, p_is_phone text, p_is_user text
) returns table (into_no bigint, lost_no bigint)
language plpgsql as $$
declare
  v_was bigint;
  v_is bigint;
  v_into bigint;
  v_lost bigint;
  v_stays boolean;
begin
  perform pg_advisory_xact_lock(hashtext('contacts'), p_company);
  select coalesce(max(a.contact_no) filter (where a.kind = 'user_id'), max(a.contact_no)) into v_was
    from contact_aliases a where a.company_no = p_company
      and (a.kind, a.value) in (('user_id', p_was_user), ('phone', p_was_phone));
  select coalesce(max(a.contact_no) filter (where a.kind = 'user_id'), max(a.contact_no)) into v_is
    from contact_aliases a where a.company_no = p_company
      and (a.kind, a.value) in (('user_id', p_is_user), ('phone', p_is_phone));
  v_into := coalesce(v_was, v_is);
  if v_into is null then
    return;
  end if;
  if v_was is not null and v_is is not null and v_was <> v_is then
    select p_is_user is null and o.user_id is not null and o.user_id is distinct from w.user_id into v_stays
      from contacts o join contacts w on w.company_no = p_company and w.contact_no = v_was
      where o.company_no = p_company and o.contact_no = v_is;
    if v_stays then
      update contacts c set phone = null, updated_at = clock_timestamp()
        where c.company_no = p_company and c.contact_no = v_is and c.phone = p_is_phone;
    else
      v_lost := greatest(v_was, v_is);
      v_into := merge_contacts(p_company, v_was, v_is);
    end if;
  end if;
  insert into contact_aliases (company_no, kind, value, contact_no)
    select p_company, a.kind, a.value, v_into
    from (values ('phone', p_was_phone), ('user_id', p_was_user), ('phone', p_is_phone), ('user_id', p_is_user))
      a (kind, value)
    where a.value is not null
    on conflict (company_no, kind, value) do update set contact_no = excluded.contact_no
      where contact_aliases.contact_no is distinct from excluded.contact_no;
  update contacts c set phone = coalesce(p_is_phone, c.phone), user_id = coalesce(p_is_user, c.user_id),
      updated_at = clock_timestamp()
    where c.company_no = p_company and c.contact_no = v_into
      and (c.phone, c.user_id) is distinct from (coalesce(p_is_phone, c.phone), coalesce(p_is_user, c.user_id));
  return query select v_into, v_lost;
end $$;
`;

const retention = `
create function delete_old_unroutable(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from unroutable where last_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const APP = "company_no, app_id, app_secret, previous_secret, previous_until, verify_token";

const security = [
  protect("meta_apps", "unroutable"),
  onlyFor("hold_routes(text[], text[], text[], int[])", "ingest"),
  onlyFor("unknown_statuses(int, int, text[], text[])", "ingest"),
  onlyFor("same_person(int, text, text, text, text)", "ingest"),
  onlyFor("delete_old_unroutable(interval)", "worker"),
  policy("unroutable", "owner", "select", "true"),
  policy("unroutable", "owner", "delete", "last_at < clock_timestamp()"),

  // A number's ids and token are set with it; whether it is active is for its owner to find out.
  grant(
    "app",
    "insert (waba_id, phone_number_id, secrets), update (waba_id, phone_number_id, secrets)",
    "numbers",
  ),
  grant(
    "platform",
    "insert (waba_id, phone_number_id, secrets), update (waba_id, phone_number_id, secrets)",
    "numbers",
  ),
  grant("worker", "update (is_active, secrets, settings)", "numbers"),

  grant("app", `select, delete, insert (${APP}), update (${APP}, updated_at)`, "meta_apps"),
  policy("meta_apps", "app", "all", OWN),
  grant("worker", "select", "meta_apps"),
  policy("meta_apps", "worker", "select", "true"),
  grant("ingest", "select", "meta_apps"),
  policy("meta_apps", "ingest", "select", "true"),

  grant("platform", "select, delete, update (replay_at)", "unroutable"),
  policy("unroutable", "platform", "all", "true"),
  grant(
    "ingest",
    `select, delete, update (times, last_at, replay_at), insert (hash, reason, app_company_id, waba_id,
      phone_number_id, display_phone, field, pieces, payload)`,
    "unroutable",
  ),
  policy("unroutable", "ingest", "all", "true"),
].join("\n");
