/**
 * Notes in the test database, with the superuser's rights and behind the product's back, every write that only
 * a number's owner may do: under which epoch, by which process, and when it was committed. From these notes it is
 * told whether the database ever accepted a write of somebody who was not the owner any more.
 */
import type { Fleet } from "../../src/testing/fleet.ts";
import { Pool } from "pg";

/** Needed for the order of commits, which is what counts: two transactions run at the same time. */
export const AUDIT_SETTINGS = { track_commit_timestamp: "on" };

/** Written by owners of numbers, row by row. */
const OWNED_TABLES = [
  "auth_creds",
  "auth_keys",
  "auth_key_packs",
  "commands",
  "numbers",
  "whatsapp_session_health",
  "pairing_attempts",
];

export type StaleWrite = {
  what: string;
  numberNo: number;
  epoch: number | null;
  label: string;
  /** raised: a higher epoch was committed before; foreign: by a process that never owned that epoch; unfenced. */
  why: string;
  at: Date;
};

/** A change of owner; `isRelease`: from now on nobody owns the shard. */
export type ShardChange = {
  shardId: number;
  epoch: number;
  label: string;
  isRelease: boolean;
  at: Date;
};

export type WriteAudit = AsyncDisposable & {
  /** Sees through row security; goes on after an outage of Postgres. */
  query: <Row extends object>(text: string, values?: unknown[]) => Promise<Row[]>;
  /** Writes of owners so far. */
  countWrites: () => Promise<number>;
  /**
   * @param clockStepMs how far the machine's clock was set during the run: commits are told apart by its times, so
   *   what lies closer together than that is not judged
   */
  staleWrites: (clockStepMs: number) => Promise<StaleWrite[]>;
  /** Every change of owner, in order. */
  changes: () => Promise<ShardChange[]>;
  /** Who owns what at this moment: shard → label. A lease that has run out counts until it is taken over. */
  owners: () => Promise<Map<number, string>>;
};

/** Before the first worker starts. The Postgres must run with `AUDIT_SETTINGS`. */
export async function installAudit(database: Fleet["database"]): Promise<WriteAudit> {
  const pool = new Pool({ connectionString: database.superuserUrl, max: 3 });
  pool.on("error", () => undefined);
  pool.on("connect", (client) => client.on("error", () => undefined));
  await pool.query(SCHEMA);
  for (const table of OWNED_TABLES) {
    await pool.query(`create trigger chaos_write after insert or update or delete on ${table}
      for each row execute function chaos.note_write()`);
  }
  const query = async <Row extends object>(text: string, values?: unknown[]): Promise<Row[]> =>
    (await pool.query<Row>(text, values)).rows;
  return {
    query,
    countWrites: async () => {
      const [row] = await query<{ count: number }>(
        "select count(*)::int as count from chaos.writes",
      );
      return row?.count ?? 0;
    },
    staleWrites: (clockStepMs) => query<StaleWrite>(STALE, [clockStepMs]),
    changes: () =>
      query<ShardChange>(`select shard_id as "shardId", epoch::int, label, owner is null as "isRelease", at
        from chaos.changes order by at, shard_id`),
    owners: async () => {
      const rows = await query<{ shardId: number; label: string }>(
        `select l.shard_id as "shardId", c.label from shard_leases l
          join chaos.changes c on c.shard_id = l.shard_id and c.epoch = l.epoch and c.owner = l.owner`,
      );
      return new Map(rows.map(({ shardId, label }) => [shardId, label]));
    },
    [Symbol.asyncDispose]: () => pool.end(),
  };
}

/*
 * The label of a process is its application_name. The epoch of a write is the one its transaction holds for the
 * number; of a command's claim the one it writes down itself (claimed_epoch); else that of the fence row.
 * Not an owner's: what other roles write, commands and attempts ended by time, and old rows removed.
 */
const SCHEMA = `
create schema chaos;
create table chaos.writes (
  what text not null, number_no int not null, epoch bigint, is_held boolean not null,
  fence_epoch bigint, lease_epoch bigint, shard_id int, label text not null, at timestamptz not null, xid xid not null
);
create table chaos.raises (number_no int not null, epoch bigint not null, xid xid not null);
create index on chaos.raises (number_no, epoch);
create table chaos.changes (
  shard_id int not null, epoch bigint not null, owner text, label text not null, at timestamptz not null
);
create index on chaos.changes (shard_id, epoch);

create function chaos.note_write() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_row jsonb := to_jsonb(case tg_op when 'DELETE' then old else new end);
  v_number int := (v_row ->> 'number_no')::int;
  v_place int := array_position(nullif(current_setting('app.held_numbers', true), '')::int[], v_number);
  v_is_held boolean := v_place is not null;
  v_epoch bigint := (nullif(current_setting('app.held_epochs', true), '')::bigint[])[v_place];
  v_state text := v_row ->> 'state';
  v_fence bigint;
  v_lease bigint;
  v_shard int;
begin
  if session_user in ('manyline_app', 'manyline_platform', 'manyline_relay') then
    return null;
  end if;
  if tg_table_name = 'commands' then
    if tg_op = 'DELETE' or v_state = 'dead' then
      return null;
    end if;
    if v_state = 'claimed' then
      v_epoch := (v_row ->> 'claimed_epoch')::bigint;
      v_is_held := true;
    end if;
  end if;
  if tg_table_name = 'pairing_attempts' and not v_is_held and (tg_op = 'DELETE' or v_row ->> 'secret' is null) then
    return null;
  end if;
  select c.shard_id, l.epoch into v_shard, v_lease from companies c
    join shard_leases l on l.shard_id = c.shard_id where c.company_no = (v_row ->> 'company_no')::int;
  select epoch into v_fence from number_fence
    where company_no = (v_row ->> 'company_no')::int and number_no = v_number;
  insert into chaos.writes values (
    tg_table_name || ' ' || lower(tg_op) || coalesce(' ' || v_state, ''), v_number, coalesce(v_epoch, v_fence),
    v_is_held, v_fence, v_lease, v_shard, current_setting('application_name'), clock_timestamp(),
    pg_current_xact_id()::xid);
  return null;
end $$;

create function chaos.note_raise() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into chaos.raises values (new.number_no, new.epoch, pg_current_xact_id()::xid);
  return null;
end $$;
create trigger chaos_raise after update on number_fence for each row
  when (new.epoch is distinct from old.epoch) execute function chaos.note_raise();

create function chaos.note_change() returns trigger
language plpgsql security definer set search_path = public, pg_temp as $$
begin
  insert into chaos.changes
    values (new.shard_id, new.epoch, new.owner, current_setting('application_name'), clock_timestamp());
  return null;
end $$;
create trigger chaos_change after update on shard_leases for each row
  when (new.epoch is distinct from old.epoch or new.owner is distinct from old.owner) execute function chaos.note_change();
`;

const STALE = `
select w.what, w.number_no as "numberNo", w.epoch::int, w.label, w.at, why.why
from chaos.writes w
cross join lateral (
  select 'raised' as why where exists (
    select 1 from chaos.raises r where r.number_no = w.number_no and r.epoch > w.epoch
      and pg_xact_commit_timestamp(r.xid)
        < pg_xact_commit_timestamp(w.xid) - $1::int * interval '1 millisecond')
  union all
  select 'foreign' where not exists (
    select 1 from chaos.changes c where c.shard_id = w.shard_id and c.epoch = w.epoch and c.label = w.label
      and c.owner is not null)
  union all
  select 'unfenced' where not w.is_held
) why
order by w.at`;
