/** A link in a mail may be opened again, but not without end (docs/adr/0013-mailed-links-open-ten-times.md). */
import type { Kysely } from "kysely";
import { run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
}

const tables = `
alter table api_tokens add column uses int not null default 0;
`;

/* A link ends with its first use, a lasting one with its tenth. */
const functions = `
create or replace function exchange_link(p_link bytea, p_cookie bytea, p_cookie_id text, p_ttl_ms bigint)
returns table (
  company_no int, company_id text, number_no int, number_id text, scopes text[], expires_at timestamptz
)
language sql volatile security definer set search_path = public, pg_temp as $$
  with link as (
    update api_tokens t set used_at = clock_timestamp(), uses = t.uses + 1,
      revoked_at = case when t.is_lasting and t.uses < 9 then null else clock_timestamp() end
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
