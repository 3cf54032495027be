/** Companies, their numbers and data keys; shards, leases, workers and the fence. */
import type { Kysely } from "kysely";
import { HELD, HELD_COMPANY, OWN, grant, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, security);
}

const tables = `
create table company_counter (
  one boolean primary key default true check (one),
  last_no int not null default 0
);
insert into company_counter default values;

create table shards (
  shard_id int primary key,
  lo int not null,
  hi int not null,
  map_version int not null default 1,
  check (lo < hi),
  exclude using gist (int4range(lo, hi) with &&)
);

create table shard_leases (
  shard_id int primary key references shards on delete cascade,
  owner text,
  epoch bigint not null default 0,
  expires_at timestamptz,
  released_at timestamptz,
  open_epoch bigint not null default 0,
  weight int not null default 1
) with (fillfactor = 70);

create table workers (
  worker_id text primary key,
  generation bigint not null,
  capacity int not null check (capacity > 0),
  draining boolean not null default false,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp()
) with (fillfactor = 70);

create table companies (
  company_no int primary key,
  company_id text not null unique check (company_id ~ '^[A-Za-z0-9_-]{1,64}$' and company_id <> '_'),
  shard_id int not null references shards,
  name text not null,
  country text,
  phone text,
  admin_email text,
  notification_email text,
  timezone text not null default 'UTC',
  language text not null default 'en',
  whatsapp_enabled boolean not null default true,
  whatsapp_config jsonb not null default '{}',
  phone_missing_notified boolean not null default false,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp()
);
create index companies_shard on companies (shard_id);

create table data_keys (
  company_no int primary key references companies on delete cascade,
  kek_id text not null,
  wrapped bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  wrapped_at timestamptz not null default clock_timestamp()
);
create index data_keys_kek on data_keys (kek_id, company_no);

create table numbers (
  company_no int not null references companies on delete cascade,
  number_no int not null generated always as identity,
  number_id text not null,
  provider text not null check (provider in ('linked', 'meta', 'wpp')),
  name text,
  phone_e164 text,
  is_primary boolean not null default false,
  desired_state text not null default 'connected' check (desired_state in ('connected', 'disconnected')),
  status text not null default 'disconnected'
    check (status in ('connecting', 'connected', 'disconnected', 'error', 'blocked')),
  reason text not null default 'not_linked',
  since timestamptz not null default clock_timestamp(),
  until timestamptz,
  last_connected_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no),
  unique (company_no, number_id)
) with (fillfactor = 80);
create unique index numbers_primary on numbers (company_no) where is_primary;
create index numbers_no on numbers (number_no);

create table number_fence (
  company_no int not null,
  number_no int not null,
  epoch bigint not null default 0,
  primary key (company_no, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 70);
`;

const COMPANY_FIELDS =
  "name, country, phone, admin_email, notification_email, timezone, language, whatsapp_enabled, whatsapp_config";
const NUMBER_FIELDS = "name, phone_e164, is_primary, desired_state";
const numberRights = [
  `select, delete, insert (company_no, number_id, provider, ${NUMBER_FIELDS})`,
  `update (${NUMBER_FIELDS}, updated_at)`,
].join(", ");

const security = [
  protect("companies", "data_keys", "numbers", "number_fence"),

  grant(
    "app",
    `select, update (${COMPANY_FIELDS}, phone_missing_notified, updated_at)`,
    "companies",
  ),
  policy("companies", "app", "select", OWN),
  policy("companies", "app", "update", OWN),
  grant("app", numberRights, "numbers"),
  policy("numbers", "app", "all", OWN),
  grant(
    "app",
    "select (company_no, number_no, epoch), insert (company_no, number_no)",
    "number_fence",
  ),
  policy("number_fence", "app", "select", OWN),
  policy("number_fence", "app", "insert", OWN),
  grant("app", "select", "data_keys"),
  policy("data_keys", "app", "select", OWN),
  grant("app", "select (shard_id, owner, expires_at)", "shard_leases"),

  grant("platform", "select, update (last_no)", "company_counter"),
  grant("platform", "select, insert", "shards"),
  grant("platform", "select, insert (shard_id)", "shard_leases"),
  grant("platform", "select", "workers"),
  grant(
    "platform",
    `select, insert, delete, update (${COMPANY_FIELDS}, phone_missing_notified, updated_at)`,
    "companies",
  ),
  policy("companies", "platform", "all", "true"),
  grant("platform", "select, insert, update (kek_id, wrapped, wrapped_at)", "data_keys"),
  policy("data_keys", "platform", "all", "true"),
  grant("platform", numberRights, "numbers"),
  policy("numbers", "platform", "all", "true"),
  grant(
    "platform",
    "select (company_no, number_no, epoch), insert (company_no, number_no)",
    "number_fence",
  ),
  policy("number_fence", "platform", "all", "true"),

  grant("worker", "select, update (phone_missing_notified)", "companies"),
  policy("companies", "worker", "select", "true"),
  policy("companies", "worker", "update", HELD_COMPANY),
  grant("worker", "select", "data_keys"),
  policy("data_keys", "worker", "select", "true"),
  grant(
    "worker",
    "select, update (status, reason, since, until, phone_e164, last_connected_at)",
    "numbers",
  ),
  policy("numbers", "worker", "select", "true"),
  policy("numbers", "worker", "update", HELD),
  grant("worker", "select, update (epoch)", "number_fence"),
  policy("number_fence", "worker", "all", "true"),
  grant("worker", "select", "shards"),
  grant(
    "worker",
    "select, update (owner, epoch, expires_at, released_at, open_epoch, weight)",
    "shard_leases",
  ),
  grant("worker", "select, insert, update, delete", "workers"),
].join("\n");
