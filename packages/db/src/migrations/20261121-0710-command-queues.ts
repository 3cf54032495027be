/** Commands in queues: claimed under held fences only, so many per number; dead ones can be replayed. */
import type { Kysely } from "kysely";
import {
  alterPolicy,
  ANY_HELD,
  grant,
  HELD_EPOCH,
  onlyFor,
  policy,
  revoke,
  run,
} from "./helpers.ts";

export async function up(db: Kysely<unknown>): Promise<void> {
  await run(db, tables);
  await run(db, functions);
  await run(db, security);
}

const tables = `
alter table commands
  add queue text not null default '',
  add replay_of text;

drop index commands_open;
create index commands_open on commands (company_no, number_no, queue, created_at, command_id)
  where finished_at is null;
create index commands_claimed on commands (company_no, number_no) where state = 'claimed';
create index commands_deadline on commands (deadline_at) where finished_at is null;
create index commands_dead on commands (command_id) where state = 'dead';
`;

/*
 * claim_commands walks the open commands of the worker's shards from number to number, and within a number
 * from queue to queue, by single looks into commands_open: what it reads grows with the numbers that have
 * commands, not with how many each of them has. It locks the fences of those it picks (not what a new owner
 * is raising at this moment), then the commands; row security lets it write only what it holds. Of a queue
 * with a name only the oldest open command is taken, of at most a thousand queues of a number at a time.
 * Times are compared with statement_timestamp, since no index serves a comparison with clock_timestamp.
 */
const functions = `
create function expire_commands(p_limit int) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  update commands set state = 'dead', error = '{"reason": "deadline"}', finished_at = clock_timestamp()
    where (company_no, command_id) in (
      select company_no, command_id from commands
      where finished_at is null and deadline_at < statement_timestamp()
      limit p_limit for update skip locked);
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function delete_old_commands(p_keep interval) returns int
language plpgsql security definer set search_path = public, pg_temp as $$
declare
  v_count int;
begin
  delete from commands where finished_at < statement_timestamp() - p_keep;
  get diagnostics v_count = row_count;
  return v_count;
end $$;

create function claim_commands(
  p_worker text, p_shards int[], p_limit int, p_per_number int, p_max_attempts int
) returns setof commands
language plpgsql as $$
declare
  v_companies int[];
  v_numbers int[];
  v_epochs bigint[];
  v_ids text[];
begin
  perform expire_commands(2000);

  with recursive mine as materialized (
    select s.lo, s.hi, l.epoch from shard_leases l join shards s on s.shard_id = l.shard_id
    where l.owner = p_worker and l.shard_id = any (p_shards)
  ), walk as (
    select m.hi, m.epoch, first.company_no, first.number_no
    from mine m cross join lateral (
      select c.company_no, c.number_no from commands c
      where c.finished_at is null and c.company_no >= m.lo and c.company_no < m.hi
      order by c.company_no, c.number_no limit 1
    ) first
    union all
    select w.hi, w.epoch, next.company_no, next.number_no
    from walk w cross join lateral (
      select c.company_no, c.number_no from commands c
      where c.finished_at is null and c.company_no < w.hi
        and (c.company_no, c.number_no) > (w.company_no, w.number_no)
      order by c.company_no, c.number_no limit 1
    ) next
  ), ready as materialized (
    select w.company_no, w.number_no, w.epoch, p_per_number - busy.claimed as room
    from walk w
    join number_fence f on f.company_no = w.company_no and f.number_no = w.number_no and f.epoch = w.epoch
    cross join lateral (
      select count(*) as claimed from commands c
      where c.state = 'claimed' and c.company_no = w.company_no and c.number_no = w.number_no
        and c.claimed_epoch = w.epoch
    ) busy
    where busy.claimed < p_per_number
  ), picked as materialized (
    select r.company_no, r.number_no, r.epoch, one.command_id, one.created_at
    from ready r cross join lateral (
      (
        select c.command_id, c.created_at from commands c
        where c.finished_at is null and c.company_no = r.company_no and c.number_no = r.number_no
          and c.queue = '' and (c.state = 'queued' or c.claimed_epoch < r.epoch)
          and c.deadline_at > statement_timestamp()
        order by c.created_at, c.command_id limit r.room
      ) union all (
        with recursive heads as (
          (
            select c.queue, c.command_id, c.created_at, c.state, c.claimed_epoch, 1 as place
            from commands c
            where c.finished_at is null and c.company_no = r.company_no and c.number_no = r.number_no
              and c.queue > ''
            order by c.queue, c.created_at, c.command_id limit 1
          ) union all
          select head.queue, head.command_id, head.created_at, head.state, head.claimed_epoch, h.place + 1
          from heads h cross join lateral (
            select c.queue, c.command_id, c.created_at, c.state, c.claimed_epoch from commands c
            where c.finished_at is null and c.company_no = r.company_no and c.number_no = r.number_no
              and c.queue > h.queue
            order by c.queue, c.created_at, c.command_id limit 1
          ) head
          where h.place < 1000
        )
        select h.command_id, h.created_at from heads h
        where h.state = 'queued' or h.claimed_epoch < r.epoch
      )
      order by created_at, command_id limit r.room
    ) one
    order by one.created_at, one.command_id limit p_limit
  ), held as materialized (
    select p.company_no, p.number_no, p.epoch, p.command_id from picked p
    join number_fence f
      on f.company_no = p.company_no and f.number_no = p.number_no and f.epoch = p.epoch
    order by p.company_no, p.number_no
    for share of f skip locked
  )
  select array_agg(company_no), array_agg(number_no), array_agg(epoch), array_agg(command_id)
    into v_companies, v_numbers, v_epochs, v_ids from held;
  if v_ids is null then
    return;
  end if;
  perform note_held(v_companies, v_numbers, v_epochs);

  return query
    with locked as materialized (
      select c.company_no, c.command_id, p.epoch, c.attempts >= p_max_attempts as is_dead
      from unnest(v_companies, v_ids, v_epochs) as p (company_no, command_id, epoch)
      join commands c on c.company_no = p.company_no and c.command_id = p.command_id
      where c.finished_at is null and c.deadline_at > statement_timestamp()
        and (c.state = 'queued' or c.claimed_epoch < p.epoch)
      order by c.company_no, c.command_id
      for update of c skip locked
    )
    update commands c set
      state = case when k.is_dead then 'dead' else 'claimed' end,
      attempts = c.attempts + case when k.is_dead then 0 else 1 end,
      claimed_epoch = k.epoch,
      claimed_at = clock_timestamp(),
      error = case when k.is_dead then '{"reason": "attempts"}'::jsonb end,
      finished_at = case when k.is_dead then clock_timestamp() end
    from locked k where c.company_no = k.company_no and c.command_id = k.command_id
    returning c.*;
end $$;
`;

const COMMAND =
  "company_no, command_id, number_no, verb, args, deadline_at, traceparent, queue, replay_of";

const security = [
  onlyFor("expire_commands(int)", "worker"),
  onlyFor("delete_old_commands(interval)", "worker"),
  onlyFor("claim_commands(text, int[], int, int, int)", "worker"),
  policy("commands", "owner", "select", "true"),
  policy(
    "commands",
    "owner",
    "update",
    "finished_at is null and deadline_at < clock_timestamp()",
    "state = 'dead'",
  ),
  policy("commands", "owner", "delete", "finished_at is not null"),

  // Claiming, finishing and giving up: under the held fence and for its epoch only.
  alterPolicy(
    "commands",
    "worker",
    "update",
    ANY_HELD,
    `claimed_epoch = ${HELD_EPOCH} and ${ANY_HELD}`,
  ),
  revoke("worker", "delete", "commands"),
  "drop policy worker_delete on commands;",

  grant("app", "insert (queue)", "commands"),
  grant("platform", `insert (${COMMAND})`, "commands"),
  policy("commands", "platform", "insert", "true"),
].join("\n");
