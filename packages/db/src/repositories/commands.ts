import type { CommandState, CommandVerb, ErrorCode } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";

export type CommandRow = {
  commandId: string;
  companyNo: number;
  numberNo: number;
  verb: CommandVerb;
  args: Record<string, unknown>;
  state: CommandState;
  /** How often it was claimed: more than 1 after a change of owner. */
  attempts: number;
  result: Record<string, unknown> | null;
  /** Of a failed one: `{code, …facts}`. Of a dead one: `{reason}`. */
  error: { code?: ErrorCode; reason?: string; [fact: string]: unknown } | null;
  deadlineAt: Date;
  createdAt: Date;
  traceparent: string | null;
  /** The epoch that claimed it. */
  epoch: number | null;
};

export type CommandInput = {
  commandId: string;
  companyNo: number;
  numberNo: number;
  verb: CommandVerb;
  args: object;
  /** From now, by the clock of Postgres. */
  deadlineMs: number;
  traceparent?: string | null | undefined;
};

export type CommandOutcome =
  | { state: "done"; result: object }
  | { state: "failed"; error: { code: ErrorCode; [fact: string]: unknown } }
  | { state: "dead"; reason: string };

const columns = sql.raw(
  [
    "m.command_id, m.company_no, m.number_no, m.verb, m.args, m.state, m.attempts, m.result, m.error",
    "m.deadline_at, m.created_at, m.traceparent, m.claimed_epoch as epoch",
  ].join(", "),
);

/**
 * Writes a command. `hasOwner`: the number's shard has a live lease; without one the caller answers
 * NO_OWNER (and rolls back, if the command shall not wait). Poke `shardPoke(shardId)` after the commit.
 */
export async function enqueueCommand(
  executor: Executor,
  input: CommandInput,
): Promise<{ shardId: number; hasOwner: boolean }> {
  const row = await firstRow(
    executor,
    sql<{ shardId: number; hasOwner: boolean }>`
      with added as (
        insert into commands (company_no, command_id, number_no, verb, args, deadline_at, traceparent)
        values (${input.companyNo}, ${input.commandId}, ${input.numberNo}, ${input.verb},
          ${JSON.stringify(input.args)}::jsonb,
          clock_timestamp() + ${input.deadlineMs}::bigint * interval '1 millisecond',
          ${input.traceparent ?? null})
        returning company_no
      )
      select c.shard_id, coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner
      from added join companies c on c.company_no = added.company_no
      left join shard_leases l on l.shard_id = c.shard_id`,
  );
  if (row === undefined) throw new Error("a command was not written");
  return row;
}

export async function getCommand(
  executor: Executor,
  commandId: string,
): Promise<CommandRow | undefined> {
  return firstRow(
    executor,
    sql<CommandRow>`select ${columns} from commands m where m.command_id = ${commandId}`,
  );
}

/**
 * Claims waiting commands of the worker's shards, oldest first, in one statement: only of numbers whose
 * fence has been raised to the lease's epoch, and not what another call holds at this moment. What a
 * former owner had claimed and not finished is claimed again. Commands past their deadline become dead
 * here and are not returned.
 */
export async function claimCommands(
  executor: Executor,
  owner: { workerId: string; shardIds: number[] },
  limit: number,
): Promise<CommandRow[]> {
  const claimed = await rows(
    executor,
    sql<CommandRow>`
      with waiting as materialized (
        select m.company_no, m.command_id, f.epoch, m.deadline_at < clock_timestamp() as is_late
        from commands m
        join companies c on c.company_no = m.company_no
        join shard_leases l on l.shard_id = c.shard_id
        join number_fence f on f.company_no = m.company_no and f.number_no = m.number_no
        where m.finished_at is null and l.owner = ${owner.workerId}
          and l.shard_id = any (${owner.shardIds}::int[]) and f.epoch = l.epoch
          and (m.state = 'queued' or m.claimed_epoch < f.epoch or m.deadline_at < clock_timestamp())
        order by m.created_at, m.command_id
        limit ${limit} for update of m skip locked
      )
      update commands m set
        state = case when w.is_late then 'dead' else 'claimed' end,
        attempts = m.attempts + case when w.is_late then 0 else 1 end,
        claimed_epoch = w.epoch,
        claimed_at = clock_timestamp(),
        error = case when w.is_late then '{"reason": "deadline"}'::jsonb end,
        finished_at = case when w.is_late then clock_timestamp() end
      from waiting w where m.company_no = w.company_no and m.command_id = w.command_id
      returning ${columns}`,
  );
  return claimed
    .filter(({ state }) => state === "claimed")
    .toSorted(
      (a, b) =>
        a.createdAt.getTime() - b.createdAt.getTime() || (a.commandId < b.commandId ? -1 : 1),
    );
}

/**
 * Ends a claimed command. `done` and `failed` are written only in a fenced transaction of the command's
 * number and under the epoch that claimed it; elsewhere row security raises. False when the command is no
 * longer ours or has ended (it was past its deadline): then nothing was written and nothing is to be told.
 */
export async function finishCommand(
  tx: Executor,
  commandId: string,
  outcome: CommandOutcome,
): Promise<boolean> {
  const result = outcome.state === "done" ? JSON.stringify(outcome.result) : null;
  const count = await changed(
    tx,
    sql`update commands set state = ${outcome.state}, result = ${result}::jsonb,
        error = ${errorOf(outcome)}::jsonb, finished_at = clock_timestamp()
      where command_id = ${commandId} and state = 'claimed'
        and number_no = coalesce(nullif(current_setting('app.held_number', true), '')::int, number_no)
        and claimed_epoch = coalesce(nullif(current_setting('app.held_epoch', true), '')::bigint, claimed_epoch)`,
  );
  return count > 0;
}

function errorOf(outcome: CommandOutcome): string | null {
  if (outcome.state === "failed") return JSON.stringify(outcome.error);
  if (outcome.state === "dead") return JSON.stringify({ reason: outcome.reason });
  return null;
}

/** Commands past their deadline that nobody claims (no owner) become dead. Returns how many. */
export async function expireCommands(executor: Executor): Promise<number> {
  return changed(
    executor,
    sql`update commands set state = 'dead', error = '{"reason": "deadline"}'::jsonb,
        finished_at = clock_timestamp()
      where (company_no, command_id) in (
        select company_no, command_id from commands
        where finished_at is null and deadline_at < clock_timestamp() - interval '1 second'
        limit 500 for update skip locked)`,
  );
}
