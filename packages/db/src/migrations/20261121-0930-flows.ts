/** Flows: the key pairs of companies, who fills their screens, and which flow stands behind a name. */
import type { Kysely } from "kysely";
import { grant, onlyFor, OWN, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, security);
}

/*
 * One key of a company is current; former ones go on answering until retires_at, for numbers at which Meta still has
 * them. A flow is sent by a name of ours: a company's own row decides, else the one for all.
 */
const tables = `
create table flow_keys (
  company_no int not null references companies on delete cascade,
  flow_key_id text collate "C" not null,
  public_key text not null,
  fingerprint text not null,
  private_key bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  retires_at timestamptz,
  primary key (company_no, flow_key_id)
);
create unique index flow_keys_current on flow_keys (company_no) where retires_at is null;

create table flow_handlers (
  company_no int primary key references companies on delete cascade,
  kind text not null check (kind in ('nats', 'https')),
  url text,
  secret bytea,
  updated_at timestamptz not null default clock_timestamp(),
  check ((kind = 'https') = (url is not null) and (kind = 'https') = (secret is not null))
);

create table shared_flows (
  name text primary key,
  flow_id text not null,
  action text not null check (action in ('navigate', 'data_exchange')),
  screen text,
  updated_at timestamptz not null default clock_timestamp()
);
create table tenant_flows (
  company_no int not null references companies on delete cascade,
  name text not null,
  flow_id text not null,
  action text not null check (action in ('navigate', 'data_exchange')),
  screen text,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, name)
);

create function delete_retired_flow_keys(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from flow_keys where retires_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;
`;

const KEY = "company_no, flow_key_id, public_key, fingerprint";
const FLOW = "flow_id, action, screen";

const security = [
  protect("flow_keys", "flow_handlers", "tenant_flows"),
  onlyFor("delete_retired_flow_keys(interval)", "worker"),
  policy("flow_keys", "owner", "select", "true"),
  policy("flow_keys", "owner", "delete", "retires_at < clock_timestamp()"),

  // Whoever makes a key stores it and never reads it again; only the endpoint does.
  grant(
    "app",
    `select (${KEY}, created_at, retires_at), insert (${KEY}, private_key), update (retires_at)`,
    "flow_keys",
  ),
  policy("flow_keys", "app", "all", OWN),
  grant("worker", `select (${KEY}, created_at, retires_at)`, "flow_keys"),
  policy("flow_keys", "worker", "select", "true"),
  grant("ingest", "select", "flow_keys"),
  policy("flow_keys", "ingest", "select", "true"),

  grant(
    "app",
    "select, delete, insert (company_no, kind, url, secret), update (kind, url, secret, updated_at)",
    "flow_handlers",
  ),
  policy("flow_handlers", "app", "all", OWN),
  grant("ingest", "select", "flow_handlers"),
  policy("flow_handlers", "ingest", "select", "true"),

  grant(
    "app",
    `select, delete, insert (company_no, name, ${FLOW}), update (${FLOW}, updated_at)`,
    "tenant_flows",
  ),
  policy("tenant_flows", "app", "all", OWN),
  grant("worker", "select", "tenant_flows"),
  policy("tenant_flows", "worker", "select", "true"),
  grant(
    "platform",
    `select, delete, insert (name, ${FLOW}), update (${FLOW}, updated_at)`,
    "shared_flows",
  ),
  grant("worker", "select", "shared_flows"),
].join("\n");
