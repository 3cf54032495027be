/** Customers' webhooks: who wants what, and what became of each delivery. */
import type { Kysely } from "kysely";
import { grant, onlyFor, OWN, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

/*
 * A delivery keeps no body: it is read from the event log when it is sent. An event is delivered once to a subscription,
 * however often it is consumed. due_at is also the end of a claim: whoever claims moves it ahead, and whoever dies with a
 * claim loses it then. webhook_intake has one row: how far the stream has been put into the queues, so that whoever goes
 * on begins there and nothing overtakes what somebody who died had in hand.
 */
const tables = `
create table webhook_subscriptions (
  company_no int not null references companies on delete cascade,
  subscription_id text collate "C" not null,
  url text not null,
  events text[] not null,
  headers bytea,
  secret bytea not null,
  former_secret bytea,
  former_until timestamptz,
  is_enabled boolean not null default true,
  failures int not null default 0,
  failing_since timestamptz,
  last_error text,
  next_try_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, subscription_id)
);

create table deliveries (
  delivery_no bigint generated always as identity primary key,
  company_no int not null,
  subscription_id text collate "C" not null,
  event_id text not null,
  type text not null,
  chat text,
  seq bigint,
  state text not null default 'waiting' check (state in ('waiting', 'delivered', 'dead')),
  is_late boolean not null default false,
  attempts int not null default 0,
  due_at timestamptz not null default clock_timestamp(),
  first_tried_at timestamptz,
  status int,
  error text,
  latency_ms int,
  created_at timestamptz not null default clock_timestamp(),
  ended_at timestamptz,
  check (chat is null or seq is not null),
  foreign key (company_no, subscription_id) references webhook_subscriptions on delete cascade,
  unique (company_no, subscription_id, event_id)
);
create index deliveries_due on deliveries (company_no, subscription_id, due_at) where state = 'waiting';
create index deliveries_chat on deliveries (company_no, subscription_id, chat, seq, delivery_no)
  where state = 'waiting' and not is_late and chat is not null;
create table webhook_intake (
  is_only boolean primary key default true check (is_only),
  incarnation text not null,
  stream_seq bigint not null
);
create index deliveries_listed on deliveries (company_no, subscription_id, delivery_no);
create index deliveries_created on deliveries (created_at);
`;

/*
 * claim_deliveries takes what is due at one endpoint. Of each chat only the first that waits, by seq, until that has stepped
 * aside. A look at a long queue goes 1,000 rows far and ends when there is enough: what is behind a chat that waits for its
 * first is found when that has gone. Neither a claim nor a note waits for the disk: what a crash of Postgres takes back is
 * sent once more, with its id.
 */
const functions = `
create function claim_deliveries(p_company int, p_subscription text, p_limit int, p_claim interval) returns table (
  delivery_no bigint, event_id text, type text, attempts int, is_late boolean, first_tried_at timestamptz, envelope json
)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_taken bigint[] := '{}';
  v_row record;
begin
  perform set_config('synchronous_commit', 'off', true);
  perform from webhook_subscriptions s where s.company_no = p_company and s.subscription_id = p_subscription
    and s.is_enabled and (s.next_try_at is null or s.next_try_at <= clock_timestamp());
  if not found then
    return;
  end if;
  for v_row in
    select d.delivery_no, d.chat, d.seq, d.is_late from deliveries d
    where d.company_no = p_company and d.subscription_id = p_subscription
      and d.state = 'waiting' and d.due_at <= clock_timestamp()
    order by d.due_at limit 1000
  loop
    if v_row.chat is not null and not v_row.is_late then
      continue when exists (select from deliveries b
        where b.company_no = p_company and b.subscription_id = p_subscription and b.chat = v_row.chat
          and b.state = 'waiting' and not b.is_late
          and (b.seq, b.delivery_no) < (v_row.seq, v_row.delivery_no));
    end if;
    v_taken := v_taken || v_row.delivery_no;
    exit when cardinality(v_taken) >= p_limit;
  end loop;
  if v_taken = '{}' then
    return;
  end if;
  return query
    with locked as materialized (
      select d.delivery_no from deliveries d
      where d.delivery_no = any (v_taken) and d.state = 'waiting' and d.due_at <= clock_timestamp()
      order by d.delivery_no for update skip locked
    ), claimed as (
      update deliveries d set attempts = d.attempts + 1, due_at = clock_timestamp() + p_claim,
        first_tried_at = coalesce(d.first_tried_at, clock_timestamp())
      from locked l where d.delivery_no = l.delivery_no
      returning d.delivery_no, d.event_id, d.type, d.attempts, d.is_late, d.first_tried_at
    )
    select c.delivery_no, c.event_id, c.type, c.attempts, c.is_late, c.first_tried_at,
      (select e.envelope from whatsapp_events e
        where e.company_no = p_company and e.event_id = c.event_id limit 1)
    from claimed c order by c.delivery_no;
end $$;

create function settle_delivery(
  p_company int, p_subscription text, p_delivery bigint, p_attempts int, p_state text, p_is_late boolean, p_in interval,
  p_status int, p_error text, p_latency int, p_says text, p_pause interval
) returns table (is_settled boolean, has_next boolean)
language plpgsql set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  v_chat text;
begin
  perform set_config('synchronous_commit', 'off', true);
  update deliveries d set state = p_state, is_late = is_late or p_is_late, status = p_status, error = p_error,
    latency_ms = p_latency, due_at = clock_timestamp() + p_in,
    ended_at = case when p_state <> 'waiting' then clock_timestamp() end
  where d.delivery_no = p_delivery and d.attempts = p_attempts and d.state = 'waiting'
  returning d.chat into v_chat;
  is_settled := found;
  has_next := v_chat is not null and exists (select from deliveries d
    where d.company_no = p_company and d.subscription_id = p_subscription and d.chat = v_chat
      and d.state = 'waiting' and not d.is_late and d.delivery_no <> p_delivery);
  if p_says = 'well' then
    -- Of one that was well nothing is changed, and nothing locked.
    update webhook_subscriptions s set failures = 0, failing_since = null, next_try_at = null, last_error = null
    where s.company_no = p_company and s.subscription_id = p_subscription and s.failures > 0;
  elsif p_says = 'failed' then
    update webhook_subscriptions s set failures = failures + 1,
      failing_since = coalesce(failing_since, clock_timestamp() - p_latency * interval '1 millisecond'),
      last_error = coalesce(p_error, 'answered ' || p_status),
      next_try_at = clock_timestamp() + p_pause
    where s.company_no = p_company and s.subscription_id = p_subscription;
  end if;
  return next;
end $$;

create function delete_old_deliveries(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from deliveries where created_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const EVENT_INSERT = "insert (company_no, event_id, number_no, type, subject, envelope)";
const SET = "url, events, headers, secret, former_secret, former_until, is_enabled";
const HEALTH = "failures, failing_since, last_error, next_try_at";
const FATE =
  "state, is_late, attempts, due_at, first_tried_at, status, error, latency_ms, ended_at";

const security = [
  protect("webhook_subscriptions", "deliveries", "webhook_intake"),
  onlyFor("delete_old_deliveries(interval)", "worker"),
  onlyFor("claim_deliveries(int, text, int, interval)", "notify"),
  onlyFor(
    "settle_delivery(int, text, bigint, int, text, boolean, interval, int, text, int, text, interval)",
    "notify",
  ),
  policy("deliveries", "owner", "all", "true"),

  grant(
    "app",
    `select, delete, insert (company_no, subscription_id, url, events, headers, secret),
     update (${SET}, ${HEALTH}, updated_at)`,
    "webhook_subscriptions",
  ),
  policy("webhook_subscriptions", "app", "all", OWN),
  grant(
    "app",
    `select, insert (company_no, subscription_id, event_id, type, is_late), update (${FATE})`,
    "deliveries",
  ),
  policy("deliveries", "app", "all", OWN),

  grant("notify", "select (company_no, company_id)", "companies"),
  policy("companies", "notify", "select", "true"),
  grant("notify", "select", "data_keys"),
  policy("data_keys", "notify", "select", "true"),
  grant("notify", `select, ${EVENT_INSERT}`, "whatsapp_events"),
  grant("notify", "usage", "sequence whatsapp_events_no"),
  policy("whatsapp_events", "notify", "select", "true"),
  policy("whatsapp_events", "notify", "insert", "true"),
  grant("notify", `select, update (is_enabled, ${HEALTH}, updated_at)`, "webhook_subscriptions"),
  policy("webhook_subscriptions", "notify", "select", "true"),
  policy("webhook_subscriptions", "notify", "update", "true"),
  grant(
    "notify",
    `select, insert (company_no, subscription_id, event_id, type, chat, seq, due_at, state, attempts, first_tried_at, status,
     error, latency_ms, ended_at), update (${FATE})`,
    "deliveries",
  ),
  policy("deliveries", "notify", "select", "true"),
  policy("deliveries", "notify", "insert", "true"),
  policy("deliveries", "notify", "update", "true"),
  grant("notify", "select, insert, update", "webhook_intake"),
  policy("webhook_intake", "notify", "all", "true"),
].join("\n");
