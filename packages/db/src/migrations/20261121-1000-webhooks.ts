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

const functions = `
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
