/** Credentials and Signal keys of linked numbers, and the fence that guards every write of an owner. */
import type { Kysely } from "kysely";
import { HELD, OWN, grant, onlyFor, policy, protect, run } from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
create table auth_creds (
  company_no int not null,
  number_no int not null,
  value bytea not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 70);

create table auth_keys (
  company_no int not null,
  number_no int not null,
  kind text not null,
  key text not null,
  value bytea not null,
  updated_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no, kind, key),
  foreign key (company_no, number_no) references numbers on delete cascade
) with (fillfactor = 80);

create table auth_key_packs (
  company_no int not null,
  number_no int not null,
  kind text not null,
  pack_id text not null,
  keys text[] not null,
  gone text[] not null default '{}',
  value bytea not null,
  created_at timestamptz not null default clock_timestamp(),
  primary key (company_no, number_no, kind, pack_id),
  foreign key (company_no, number_no) references numbers on delete cascade
);
`;

/*
 * hold_fence: the row lock is what makes it safe. A check without a lock (exists, or a plain select) lets
 * a take-over happen between the check and the write; with FOR SHARE the new owner's update of the row
 * waits for us, and a stale owner finds no row. The settings are what row security looks at.
 *
 * write_auth: the only way into auth_creds and auth_keys, one call, one round trip. Keys come sorted, so
 * that two calls meet in the same order. A key that is written or deleted is also marked gone in the
 * packs that hold an older value of it; a pack with nothing left is removed.
 */
const functions = `
create function hold_fence(p_company int, p_number int, p_epoch bigint) returns boolean
language plpgsql as $$
begin
  perform 1 from number_fence
    where company_no = p_company and number_no = p_number and epoch = p_epoch
    for share;
  if not found then
    return false;
  end if;
  perform set_config('app.held_company', p_company::text, true),
          set_config('app.held_number', p_number::text, true),
          set_config('app.held_epoch', p_epoch::text, true);
  return true;
end $$;

create function write_auth(
  p_company int, p_number int, p_epoch bigint,
  p_erase boolean, p_creds bytea,
  p_put_kinds text[], p_put_keys text[], p_put_values bytea[],
  p_gone_kinds text[], p_gone_keys text[],
  p_pack_kind text, p_pack_id text, p_pack_keys text[], p_pack_value bytea
) returns boolean
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  if not hold_fence(p_company, p_number, p_epoch) then
    return false;
  end if;
  if p_erase then
    delete from auth_creds where company_no = p_company and number_no = p_number;
    delete from auth_keys where company_no = p_company and number_no = p_number;
    delete from auth_key_packs where company_no = p_company and number_no = p_number;
  end if;
  if p_creds is not null then
    insert into auth_creds as a (company_no, number_no, value) values (p_company, p_number, p_creds)
    on conflict (company_no, number_no)
      do update set value = excluded.value, updated_at = clock_timestamp();
  end if;

  with touched as (
    select kind, array_agg(key) as keys from (
      select unnest(p_put_kinds) as kind, unnest(p_put_keys) as key
      union all select unnest(p_gone_kinds), unnest(p_gone_keys)
      union all select p_pack_kind, unnest(p_pack_keys)
    ) as every group by kind
  )
  update auth_key_packs p
    set gone = p.gone || array(
      select k from unnest(t.keys) as k where k = any (p.keys) and not k = any (p.gone))
    from touched t
    where p.company_no = p_company and p.number_no = p_number and p.kind = t.kind and p.keys && t.keys;
  if found then
    delete from auth_key_packs
      where company_no = p_company and number_no = p_number and cardinality(gone) >= cardinality(keys);
  end if;

  if p_pack_kind is not null then
    insert into auth_key_packs (company_no, number_no, kind, pack_id, keys, value)
      values (p_company, p_number, p_pack_kind, p_pack_id, p_pack_keys, p_pack_value);
    delete from auth_keys
      where company_no = p_company and number_no = p_number and kind = p_pack_kind
        and key = any (p_pack_keys);
  end if;
  if cardinality(p_gone_keys) > 0 then
    delete from auth_keys a using unnest(p_gone_kinds, p_gone_keys) as g (kind, key)
      where a.company_no = p_company and a.number_no = p_number and a.kind = g.kind and a.key = g.key;
  end if;
  if cardinality(p_put_keys) > 0 then
    insert into auth_keys as a (company_no, number_no, kind, key, value)
      select p_company, p_number, kind, key, value
      from unnest(p_put_kinds, p_put_keys, p_put_values) as put (kind, key, value)
    on conflict (company_no, number_no, kind, key)
      do update set value = excluded.value, updated_at = clock_timestamp();
  end if;
  return true;
end $$;
`;

const WRITE_AUTH =
  "write_auth(int, int, bigint, boolean, bytea, text[], text[], bytea[], text[], text[], text, text, text[], bytea)";

const security = [
  protect("auth_creds", "auth_keys", "auth_key_packs"),
  onlyFor("hold_fence(int, int, bigint)", "worker"),
  onlyFor(WRITE_AUTH, "worker"),
  // write_auth runs as the owner of the tables: these are its rights, and they end with the held number.
  policy("number_fence", "owner", "all", "true"),
  policy("auth_creds", "owner", "all", HELD),
  policy("auth_keys", "owner", "all", HELD),
  policy("auth_key_packs", "owner", "all", HELD),

  grant("worker", "select", "auth_creds"),
  policy("auth_creds", "worker", "select", "true"),
  grant("worker", "select", "auth_keys"),
  policy("auth_keys", "worker", "select", "true"),
  grant("worker", "select", "auth_key_packs"),
  policy("auth_key_packs", "worker", "select", "true"),

  // Whether a number is linked is no secret of its company; the credentials are.
  grant("app", "select (company_no, number_no)", "auth_creds"),
  policy("auth_creds", "app", "select", OWN),
  grant("platform", "select (company_no, number_no)", "auth_creds"),
  policy("auth_creds", "platform", "select", "true"),
].join("\n");
