/** Notices by mail and SMS: what is to be told to whom, what became of it, and which numbers are away. */
import type { Kysely } from "kysely";
import { grant, onlyFor, OWN, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

/*
 * One row for each notice and reader; the unique key makes it one however often an event is consumed. A code is in no
 * row: it is read from its attempt when it is sent. due_at is also the end of a claim. A claim that ended without an
 * entry in tries is a sending whose outcome nobody knows.
 */
const tables = `
create table notifications (
  notification_no bigint generated always as identity primary key,
  company_no int not null references companies on delete cascade,
  number_no int,
  event_id text not null,
  kind text not null,
  facts jsonb not null,
  attempt_id text,
  channel text not null check (channel in ('email', 'sms')),
  address text not null,
  address_key text not null,
  provider text,
  is_urgent boolean not null,
  state text not null default 'waiting' check (state in ('waiting', 'sent', 'failed', 'over')),
  letter_id text not null,
  is_repeat boolean not null default false,
  attempts int not null default 0,
  tries jsonb not null default '[]',
  error text,
  latency_ms int,
  due_at timestamptz not null,
  expires_at timestamptz not null,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  unique (company_no, event_id, kind, channel, address_key)
) with (fillfactor = 80);
create index notifications_due on notifications (due_at) where state = 'waiting';
create index notifications_desk on notifications (channel, address_key) where state = 'waiting' and not is_urgent;
create index notifications_sent on notifications (channel, address_key, ended_at)
  where state = 'sent' and not is_urgent;
create index notifications_listed on notifications (company_no, notification_no);
create index notifications_created on notifications (created_at);

create table number_losses (
  company_no int not null,
  number_no int not null,
  since timestamptz not null,
  reason text not null,
  told_reason text,
  tell_at timestamptz,
  primary key (company_no, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
);
create index number_losses_due on number_losses (tell_at) where tell_at is not null;

alter table api_tokens add column is_lasting boolean not null default false;
`;

/*
 * A link in a mail may be opened again until its number is linked: exchange_link leaves a lasting one as it is. notify
 * makes and ends those links by functions, and sees no token.
 */
const functions = `
create function delete_old_notifications(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from notifications where created_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function make_notice_link(
  p_hash bytea, p_token_id text, p_company int, p_number int, p_scopes text[], p_ttl_ms bigint
) returns void language sql volatile security definer set search_path = public, pg_temp as $$
  insert into api_tokens (token_hash, token_id, company_no, number_no, kind, name, scopes, expires_at, is_lasting)
  select p_hash, p_token_id, p_company, p_number, 'link', 'notice', p_scopes,
    date_trunc('milliseconds', clock_timestamp()) + p_ttl_ms * interval '1 millisecond', true
  where not 'admin' = any (p_scopes)
$$;

create function end_notice_links(p_companies int[], p_numbers int[]) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  update api_tokens t set revoked_at = clock_timestamp()
  from unnest(p_companies, p_numbers) as e (company_no, number_no)
  where t.company_no = e.company_no and t.number_no = e.number_no and t.kind = 'link' and t.is_lasting
    and t.revoked_at is null;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create or replace function exchange_link(p_link bytea, p_cookie bytea, p_cookie_id text, p_ttl_ms bigint)
returns table (
  company_no int, company_id text, number_no int, number_id text, scopes text[], expires_at timestamptz
)
language sql volatile security definer set search_path = public, pg_temp as $$
  with link as (
    update api_tokens t set used_at = clock_timestamp(),
      revoked_at = case when t.is_lasting then null else clock_timestamp() end
    where t.token_hash = p_link and t.kind = 'link' and t.revoked_at is null
      and t.expires_at > clock_timestamp()
    returning t.company_no, t.number_no, t.name, t.scopes
  ), cookie as (
    insert into api_tokens as t (token_hash, token_id, company_no, number_no, kind, name, scopes, expires_at)
    select p_cookie, p_cookie_id, l.company_no, l.number_no, 'cookie', l.name, l.scopes,
      date_trunc('milliseconds', clock_timestamp()) + p_ttl_ms * interval '1 millisecond'
    from link l
    returning t.company_no, t.number_no, t.scopes, t.expires_at
  )
  select k.company_no, c.company_id, k.number_no, n.number_id, k.scopes, k.expires_at
  from cookie k
  join companies c on c.company_no = k.company_no
  join numbers n on n.company_no = k.company_no and n.number_no = k.number_no
$$;
`;

const QUEUED =
  "company_no, number_no, event_id, kind, facts, attempt_id, channel, address, address_key, provider, is_urgent, letter_id, due_at, expires_at";
const FATE = "state, letter_id, is_repeat, attempts, tries, error, latency_ms, due_at, ended_at";

const security = [
  protect("notifications", "number_losses"),
  onlyFor("delete_old_notifications(interval)", "worker"),
  onlyFor("make_notice_link(bytea, text, int, int, text[], bigint)", "notify"),
  onlyFor("end_notice_links(int[], int[])", "notify"),
  policy("notifications", "owner", "all", "true"),
  policy("number_losses", "owner", "all", "true"),

  grant("app", "select", "notifications"),
  policy("notifications", "app", "select", OWN),

  grant(
    "notify",
    `select (name, phone, admin_email, notification_email, timezone, language, whatsapp_enabled, whatsapp_config)`,
    "companies",
  ),
  grant(
    "notify",
    "select (company_no, number_no, number_id, name, phone_e164, is_primary, status, reason)",
    "numbers",
  ),
  policy("numbers", "notify", "select", "true"),
  grant(
    "notify",
    "select (company_no, number_no, attempt_id, phone, secret_kind, secret, expires_at, ended_at)",
    "pairing_attempts",
  ),
  policy("pairing_attempts", "notify", "select", "true"),
  grant("notify", `select, insert (${QUEUED}), update (${FATE})`, "notifications"),
  policy("notifications", "notify", "select", "true"),
  policy("notifications", "notify", "insert", "true"),
  policy("notifications", "notify", "update", "true"),
  grant("notify", "select, insert, update, delete", "number_losses"),
  policy("number_losses", "notify", "all", "true"),
].join("\n");
