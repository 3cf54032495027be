/** Numbers of WPP servers: the key in the address of their webhooks, and no client for two of them. */
import type { Kysely } from "kysely";
import { grant, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, numbers);
  await run(db, views);
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
create unique index numbers_webhook_key on numbers (webhook_key);
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

const security = [
  // Which server a number is at is decided when it is made.
  grant("app", "insert (wpp_server)", "numbers"),
  grant("platform", "insert (wpp_server)", "numbers"),
].join("\n");
