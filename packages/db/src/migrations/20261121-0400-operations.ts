/** Commands, health, tokens, the audit log, and who does the housekeeping. */
import type { Kysely } from "kysely";
import { HELD, HELD_COMPANY, OWN, grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
create table commands (
  company_no int not null,
  command_id text not null,
  number_no int not null,
  verb text not null,
  args jsonb not null default '{}',
  state text not null default 'queued' check (state in ('queued', 'claimed', 'done', 'failed', 'dead')),
  attempts int not null default 0,
  claimed_epoch bigint,
  claimed_at timestamptz,
  deadline_at timestamptz not null,
  result jsonb,
  error jsonb,
  finished_at timestamptz,
  traceparent text,
  created_at timestamptz not null default clock_timestamp(),
  primary key (company_no, command_id),
  foreign key (company_no, number_no) references numbers on delete cascade,
  check ((finished_at is null) = (state in ('queued', 'claimed')))
) with (fillfactor = 70);
create index commands_id on commands (command_id);
create index commands_open on commands (company_no, number_no, created_at) where finished_at is null;
create index commands_finished on commands (finished_at) where finished_at is not null;

create table whatsapp_session_health (
  company_no int not null,
  number_no int not null,
  status text not null,
  disconnect_reason text,
  reconnect_attempts int not null default 0,
  last_seen timestamptz,
  details jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 70);

create table api_tokens (
  token_hash bytea primary key check (length(token_hash) = 32),
  token_id text not null,
  company_no int references companies on delete cascade,
  number_no int,
  kind text not null check (kind in ('api', 'link', 'cookie')),
  name text not null,
  scopes text[] not null,
  expires_at timestamptz,
  used_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz not null default clock_timestamp(),
  foreign key (company_no, number_no) references numbers on delete cascade,
  check (kind = 'api' or (number_no is not null and expires_at is not null)),
  check (number_no is null or company_no is not null),
  check ((company_no is null) = ('admin' = any (scopes)))
);
create index api_tokens_company on api_tokens (company_no, token_id);
create index api_tokens_expiry on api_tokens (expires_at) where expires_at is not null;

create table audit_log (
  chain int not null generated always as (coalesce(company_no, 0)) stored,
  seq bigint not null,
  company_no int,
  at timestamptz not null,
  actor text not null,
  action text not null,
  target text,
  request_id text,
  details jsonb not null default '{}',
  prev_hash bytea not null,
  hash bytea not null,
  primary key (chain, seq)
);

create table housekeeping (
  name text primary key,
  owner text not null,
  expires_at timestamptz not null,
  ran_at timestamptz not null default clock_timestamp()
);
`;

/*
 * append_audit works one entry at a time per chain (the lock), each in a statement of its own, so that it
 * sees the entry before it. authenticate and exchange_link find a company by nothing but a hash, before
 * any company is known: that is why they run with the owner's rights.
 */
const functions = `
create function audit_hash(
  p_prev bytea, p_company int, p_seq bigint, p_at timestamptz,
  p_actor text, p_action text, p_target text, p_request text, p_details jsonb
) returns bytea language sql stable as $$
  select sha256(p_prev || convert_to(jsonb_build_array(
    p_company, p_seq, extract(epoch from p_at), p_actor, p_action, p_target, p_request, p_details)::text, 'UTF8'))
$$;

create function append_audit(
  p_company int, p_actor text, p_action text, p_target text, p_request text, p_details jsonb
) returns bigint language plpgsql as $$
declare
  v_chain int := coalesce(p_company, 0);
  v_seq bigint := 1;
  v_prev bytea := '\\x';
  v_at timestamptz;
begin
  perform pg_advisory_xact_lock(hashtext('audit_log'), v_chain);
  select a.seq + 1, a.hash into v_seq, v_prev from audit_log a
    where a.chain = v_chain order by a.seq desc limit 1;
  if not found then
    v_seq := 1;
    v_prev := '\\x';
  end if;
  v_at := clock_timestamp();
  insert into audit_log (seq, company_no, at, actor, action, target, request_id, details, prev_hash, hash)
    values (v_seq, p_company, v_at, p_actor, p_action, p_target, p_request, p_details, v_prev,
      audit_hash(v_prev, p_company, v_seq, v_at, p_actor, p_action, p_target, p_request, p_details));
  return v_seq;
end $$;

create function authenticate(p_hash bytea)
returns table (
  token_id text, company_no int, company_id text, number_no int, number_id text, kind text,
  scopes text[], expires_at timestamptz
)
language sql stable security definer set search_path = public, pg_temp as $$
  select t.token_id, t.company_no, c.company_id, t.number_no, n.number_id, t.kind, t.scopes, t.expires_at
  from api_tokens t
  left join companies c on c.company_no = t.company_no
  left join numbers n on n.company_no = t.company_no and n.number_no = t.number_no
  where t.token_hash = p_hash and t.kind <> 'link' and t.revoked_at is null
    and (t.expires_at is null or t.expires_at > clock_timestamp())
$$;

create function exchange_link(p_link bytea, p_cookie bytea, p_cookie_id text, p_ttl_ms bigint)
returns table (
  company_no int, company_id text, number_no int, number_id text, scopes text[], expires_at timestamptz
)
language sql volatile security definer set search_path = public, pg_temp as $$
  with link as (
    update api_tokens t set used_at = clock_timestamp(), revoked_at = clock_timestamp()
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

const TOKEN_COLUMNS =
  "token_id, company_no, number_no, kind, name, scopes, expires_at, used_at, revoked_at, created_at";

const security = [
  protect("commands", "whatsapp_session_health", "api_tokens", "audit_log"),
  onlyFor("append_audit(int, text, text, text, text, jsonb)", "app", "platform", "worker"),
  onlyFor(
    "audit_hash(bytea, int, bigint, timestamptz, text, text, text, text, jsonb)",
    "app",
    "platform",
    "worker",
  ),
  onlyFor("authenticate(bytea)", "app", "platform"),
  onlyFor("exchange_link(bytea, bytea, text, bigint)", "app", "platform"),
  // What authenticate and exchange_link may do.
  policy("api_tokens", "owner", "all", "true"),
  policy("companies", "owner", "select", "true"),
  policy("numbers", "owner", "select", "true"),

  grant(
    "app",
    "select, insert (company_no, command_id, number_no, verb, args, deadline_at, traceparent)",
    "commands",
  ),
  policy("commands", "app", "select", OWN),
  policy("commands", "app", "insert", OWN),
  grant("app", "select", "whatsapp_session_health"),
  policy("whatsapp_session_health", "app", "select", OWN),
  grant(
    "app",
    `select (${TOKEN_COLUMNS}), insert (token_hash, ${TOKEN_COLUMNS}), update (revoked_at)`,
    "api_tokens",
  ),
  policy("api_tokens", "app", "all", OWN),
  grant("app", "select, insert", "audit_log"),
  policy("audit_log", "app", "select", OWN),
  policy("audit_log", "app", "insert", OWN),

  grant("platform", "select", "commands"),
  policy("commands", "platform", "select", "true"),
  grant("platform", "select", "whatsapp_session_health"),
  policy("whatsapp_session_health", "platform", "select", "true"),
  grant(
    "platform",
    `select, insert (token_hash, ${TOKEN_COLUMNS}), update (revoked_at)`,
    "api_tokens",
  ),
  policy("api_tokens", "platform", "all", "true"),
  grant("platform", "select, insert", "audit_log"),
  policy("audit_log", "platform", "select", "true"),
  policy("audit_log", "platform", "insert", "true"),

  grant(
    "worker",
    "select, delete, update (state, attempts, claimed_epoch, claimed_at, result, error, finished_at)",
    "commands",
  ),
  policy("commands", "worker", "select", "true"),
  // Claiming asks for the epoch in its own statement; a result is written only under the held fence.
  policy("commands", "worker", "update", "true", `state in ('claimed', 'dead') or (${HELD})`),
  policy("commands", "worker", "delete", "finished_at is not null"),
  grant(
    "worker",
    "select, insert, update (status, disconnect_reason, reconnect_attempts, last_seen, details, updated_at)",
    "whatsapp_session_health",
  ),
  policy("whatsapp_session_health", "worker", "select", "true"),
  policy("whatsapp_session_health", "worker", "insert", HELD),
  policy("whatsapp_session_health", "worker", "update", HELD),
  grant("worker", "select (expires_at, revoked_at, kind), delete", "api_tokens"),
  policy("api_tokens", "worker", "select", "true"),
  policy(
    "api_tokens",
    "worker",
    "delete",
    "expires_at < clock_timestamp() or revoked_at is not null",
  ),
  grant("worker", "select, insert", "audit_log"),
  policy("audit_log", "worker", "select", HELD_COMPANY),
  policy("audit_log", "worker", "insert", HELD_COMPANY),
  grant("worker", "select, insert, update", "housekeeping"),
].join("\n");
