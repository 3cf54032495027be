/** Pairing attempts, who watches them, and how many codes may be asked for. */
import type { Kysely } from "kysely";
import { HELD, OWN, grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
create table pairing_attempts (
  company_no int not null,
  number_no int not null,
  attempt_id text not null,
  method text not null check (method in ('qr', 'code')),
  state text not null,
  outcome text,
  error_code text,
  phone text,
  k int not null default 0,
  max int not null,
  switched boolean not null default false,
  codes_left int,
  epoch bigint not null,
  secret_kind text check (secret_kind in ('qr', 'code')),
  secret bytea,
  started_at timestamptz not null default clock_timestamp(),
  issued_at timestamptz,
  expires_at timestamptz,
  ended_at timestamptz,
  primary key (company_no, attempt_id),
  foreign key (company_no, number_no) references numbers on delete cascade,
  check ((ended_at is null) = (state <> 'ended')),
  check (ended_at is null or secret is null),
  check ((secret is null) = (secret_kind is null))
) with (fillfactor = 80);
create unique index pairing_attempts_live on pairing_attempts (company_no, number_no) where ended_at is null;
create index pairing_attempts_newest on pairing_attempts (company_no, number_no, started_at desc);
create index pairing_attempts_ended on pairing_attempts (ended_at) where ended_at is not null;

create table pairing_watch (
  company_no int not null,
  number_no int not null,
  until timestamptz not null,
  primary key (company_no, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 70);

create table whatsapp_rate_limits (
  company_no int primary key references companies on delete cascade,
  spent_at timestamptz[] not null default '{}',
  per_hour int not null,
  window_ms bigint not null,
  blocked_until timestamptz,
  end_told boolean not null default true,
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index whatsapp_rate_limits_blocked on whatsapp_rate_limits (blocked_until) where not end_told;

create table pairing_phone_limits (
  phone_hash bytea primary key,
  spent_at timestamptz[] not null default '{}',
  updated_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);
create index pairing_phone_limits_updated on pairing_phone_limits (updated_at);
`;

/*
 * pairing_code_limit decides about one code, and counts it when p_spend: both rows are locked first, the
 * company's before the phone's, so fifty callers are answered one after another. A cooldown empties the
 * window when it starts; when it is over, five codes are free again.
 */
const functions = `
create function pairing_code_limit(
  p_company int, p_phone_hash bytea, p_per_hour int, p_window_ms bigint, p_cooldown_ms bigint,
  p_spend boolean,
  out allowed boolean, out scope text, out until timestamptz, out codes_left int,
  out cooldown_started boolean
)
language plpgsql as $$
declare
  v_now timestamptz;
  v_company whatsapp_rate_limits;
  v_phone timestamptz[];
  v_window interval := p_window_ms * interval '1 millisecond';
begin
  allowed := false;
  cooldown_started := false;
  codes_left := 0;
  insert into whatsapp_rate_limits (company_no, per_hour, window_ms)
    values (p_company, p_per_hour, p_window_ms) on conflict do nothing;
  select * into strict v_company from whatsapp_rate_limits l where l.company_no = p_company for update;
  v_now := clock_timestamp();

  if v_company.blocked_until > v_now then
    scope := 'company';
    until := v_company.blocked_until;
    return;
  end if;
  v_company.spent_at := array(select t from unnest(v_company.spent_at) t where t > v_now - v_window order by t);
  if cardinality(v_company.spent_at) >= p_per_hour then
    scope := 'company';
    until := v_now + p_cooldown_ms * interval '1 millisecond';
    cooldown_started := true;
    update whatsapp_rate_limits l
      set spent_at = '{}', blocked_until = pairing_code_limit.until, end_told = false,
          per_hour = p_per_hour, window_ms = p_window_ms, updated_at = v_now
      where l.company_no = p_company;
    return;
  end if;
  codes_left := p_per_hour - cardinality(v_company.spent_at);

  insert into pairing_phone_limits (phone_hash) values (p_phone_hash) on conflict do nothing;
  select l.spent_at into strict v_phone from pairing_phone_limits l
    where l.phone_hash = p_phone_hash for update;
  v_phone := array(select t from unnest(v_phone) t where t > v_now - v_window order by t);
  if cardinality(v_phone) >= p_per_hour then
    scope := 'phone';
    until := v_phone[cardinality(v_phone) - p_per_hour + 1] + v_window;
    return;
  end if;

  allowed := true;
  if p_spend then
    codes_left := codes_left - 1;
    update whatsapp_rate_limits l
      set spent_at = v_company.spent_at || v_now, per_hour = p_per_hour, window_ms = p_window_ms,
          updated_at = v_now
      where l.company_no = p_company;
    update pairing_phone_limits l set spent_at = v_phone || v_now, updated_at = v_now
      where l.phone_hash = p_phone_hash;
  end if;
end $$;

create function erase_expired_pairing_secrets() returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  update pairing_attempts set secret = null, secret_kind = null
    where ended_at is null and secret is not null and expires_at < clock_timestamp();
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const security = [
  protect("pairing_attempts", "pairing_watch", "whatsapp_rate_limits"),
  onlyFor("pairing_code_limit(int, bytea, int, bigint, bigint, boolean)", "worker"),
  onlyFor("erase_expired_pairing_secrets()", "worker"),
  policy("pairing_attempts", "owner", "select", "true"),
  policy("pairing_attempts", "owner", "update", "expires_at < clock_timestamp()", "secret is null"),

  grant("app", "select", "pairing_attempts"),
  policy("pairing_attempts", "app", "select", OWN),
  grant("app", "select, insert, update (until)", "pairing_watch"),
  policy("pairing_watch", "app", "all", OWN),
  grant("app", "select", "whatsapp_rate_limits"),
  policy("whatsapp_rate_limits", "app", "select", OWN),

  grant("platform", "select", "pairing_attempts"),
  policy("pairing_attempts", "platform", "select", "true"),
  grant("platform", "select, insert, update (until)", "pairing_watch"),
  policy("pairing_watch", "platform", "all", "true"),
  grant("platform", "select", "whatsapp_rate_limits"),
  policy("whatsapp_rate_limits", "platform", "select", "true"),

  grant("worker", "select, insert, update, delete", "pairing_attempts"),
  policy("pairing_attempts", "worker", "select", "true"),
  policy("pairing_attempts", "worker", "insert", HELD),
  policy("pairing_attempts", "worker", "update", HELD),
  policy("pairing_attempts", "worker", "delete", "ended_at is not null"),
  grant("worker", "select, delete", "pairing_watch"),
  policy("pairing_watch", "worker", "all", "true"),
  grant("worker", "select, insert, update, delete", "whatsapp_rate_limits"),
  policy("whatsapp_rate_limits", "worker", "all", "true"),
  grant("worker", "select, insert, update, delete", "pairing_phone_limits"),
].join("\n");
