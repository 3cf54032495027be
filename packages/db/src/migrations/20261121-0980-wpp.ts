/** Numbers of WPP servers: the key in the address of their webhooks, and no client for two of them. */
import type { Kysely } from "kysely";
import { grant, onlyFor, policy, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, numbers);
  await run(db, views);
  await run(db, webhooks);
  await run(db, security);
}

/*
 * The platform gives one client per organisation, for ever: a second number under the same one would take the first
 * one's key and session. `client_system` is what rows of an earlier time have for a session that never was.
 */
const numbers = `
alter table numbers
  add webhook_key uuid not null default gen_random_uuid(),
  add wpp_server text not null default 'wpp_platform' check (wpp_server in ('wpp_platform', 'wppconnect'));
-- By the hash: how long a search for a wrong key takes tells nothing of the right one.
create unique index numbers_webhook_key on numbers (sha256(uuid_send(webhook_key)));
create unique index numbers_wpp_session on numbers ((settings ->> 'wppAccountNumber'))
  where provider = 'wpp' and settings ->> 'wppAccountNumber' <> 'client_system';
create unique index numbers_wpp_key on numbers ((settings ->> 'wppKeyHash')) where provider = 'wpp';
`;

/** What readers of the first design know numbers as. Keys and tokens are in no column. */
const views = `
create view messenger_integrations with (security_invoker = true) as
select
  c.company_no,
  n.number_id as id,
  c.company_id as organization_id,
  'whatsapp'::text as messenger_type,
  n.provider,
  n.name,
  n.is_active,
  n.is_primary,
  n.webhook_key,
  n.settings - 'wppKeyHash' as settings,
  n.created_at
from numbers n
join companies c on c.company_no = n.company_no;

grant select on messenger_integrations to manyline_app, manyline_platform;
`;

/*
 * Webhooks name their number by a key. What they tell of a session is told to the number's owner as a command, without
 * what they say: its owner asks the server itself. One that waits is enough.
 */
const webhooks = `
create function find_wpp_numbers(p_hashes bytea[], p_hold boolean)
returns table (
  place int, company_no int, number_no int, company_id text, number_id text, phone text, epoch bigint,
  server text, session text, webhook_key uuid
)
language plpgsql security definer set search_path = public, pg_temp as $$
#variable_conflict use_column
begin
  if p_hold then
    perform note_held(array_agg(company_no), array_agg(number_no), array_agg(epoch)) from (
      select f.company_no, f.number_no, f.epoch from number_fence f
      join numbers n on n.company_no = f.company_no and n.number_no = f.number_no
      where sha256(uuid_send(n.webhook_key)) = any (p_hashes) and n.provider = 'wpp'
      order by f.company_no, f.number_no
      for share of f) held
    having count(*) > 0;
  end if;
  return query
    select h.place::int, n.company_no, n.number_no, c.company_id, n.number_id, n.phone_e164, f.epoch,
      n.wpp_server, n.settings ->> 'wppAccountNumber', n.webhook_key
    from unnest(p_hashes) with ordinality as h (hash, place)
    join numbers n on sha256(uuid_send(n.webhook_key)) = h.hash and n.provider = 'wpp'
    join companies c on c.company_no = n.company_no
    join number_fence f on f.company_no = n.company_no and f.number_no = n.number_no;
end $$;

create function note_wpp_news(p_command text, p_company int, p_number int, p_event text, p_ms bigint) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_shard int;
begin
  insert into commands (company_no, command_id, number_no, verb, args, deadline_at)
  select n.company_no, p_command, n.number_no, 'wpp_news', jsonb_build_object('event', p_event),
    clock_timestamp() + p_ms * interval '1 millisecond'
  from numbers n where n.company_no = p_company and n.number_no = p_number and n.provider = 'wpp'
    and not exists (select from commands w where w.company_no = n.company_no and w.number_no = n.number_no
      and w.verb = 'wpp_news' and w.state = 'queued' and w.args ->> 'event' = p_event);
  if not found then
    return null;
  end if;
  select c.shard_id into v_shard from companies c where c.company_no = p_company;
  return v_shard;
end $$;
`;

const security = [
  onlyFor("find_wpp_numbers(bytea[], boolean)", "ingest"),
  onlyFor("note_wpp_news(text, int, int, text, bigint)", "ingest"),
  policy("commands", "owner", "insert", "verb = 'wpp_news'"),
  // Which server a number is at is decided when it is made.
  grant("app", "insert (wpp_server)", "numbers"),
  grant("platform", "insert (wpp_server)", "numbers"),
].join("\n");
