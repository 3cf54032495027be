import type { CommandState, CommandVerb, ErrorCode } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Database, type Executor, firstRow, rows } from "../open.ts";
import { fencedTransaction } from "./fence.ts";

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
  /** '' is the number's own; the commands of any other (a chat) are claimed one by one. */
  queue: string;
  /** The dead command that this one repeats. */
  replayOf: string | null;
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
  /** See CommandRow; left out: the number's own. */
  queue?: string | undefined;
};

export type CommandOutcome =
  | { state: "done"; result: object }
  | { state: "failed"; error: { code: ErrorCode; [fact: string]: unknown } }
  | { state: "dead"; reason: string };

/** Columns of a CommandRow; needs `commands m`. */
export const commandColumns = sql.raw(
  [
    "m.command_id, m.company_no, m.number_no, m.verb, m.args, m.state, m.attempts, m.result, m.error",
    "m.deadline_at, m.created_at, m.traceparent, m.claimed_epoch as epoch, m.queue, m.replay_of",
  ].join(", "),
);

/**
 * Writes a command. `hasOwner`: the number's shard has a live lease; without one the caller answers
 * NO_OWNER (and rolls back, if the command shall not wait). `isPaused`: nobody owns it by an operator's wish. Poke `shardPoke(shardId)` after the commit.
 */
export async function enqueueCommand(
  executor: Executor,
  input: CommandInput,
): Promise<{ shardId: number; hasOwner: boolean; isPaused: boolean }> {
  const row = await firstRow(
    executor,
    sql<{ shardId: number; hasOwner: boolean; isPaused: boolean }>`
      with added as (
        insert into commands (company_no, command_id, number_no, verb, args, deadline_at, traceparent, queue)
        values (${input.companyNo}, ${input.commandId}, ${input.numberNo}, ${input.verb},
          ${JSON.stringify(input.args)}::jsonb,
          clock_timestamp() + ${input.deadlineMs}::bigint * interval '1 millisecond',
          ${input.traceparent ?? null}, ${input.queue ?? ""})
        returning company_no
      )
      select c.shard_id, coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner,
        coalesce(l.paused, false) as is_paused
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
    sql<CommandRow>`select ${commandColumns} from commands m where m.command_id = ${commandId}`,
  );
}

/** So often a command is claimed: one that was never answered by then ends its owners. */
const MAX_ATTEMPTS = 5;

/**
 * Claims waiting commands of the worker's shards, oldest first, by one call of one database function, under
 * the fences of their numbers: only of numbers whose fence has been raised to the lease's epoch, and not
 * what another call or a new owner holds at this moment. At most `perNumber` of a number are claimed and
 * unfinished at a time; of a queue other than '' only the oldest unfinished one. What a former owner had
 * claimed and not finished is claimed again, up to five times; then it is dead (`attempts`). Commands past
 * their deadline become dead here and are not returned.
 */
export async function claimCommands(
  executor: Executor,
  owner: { workerId: string; shardIds: number[] },
  limits: { limit: number; perNumber: number },
): Promise<CommandRow[]> {
  const claimed = await rows(
    executor,
    sql<CommandRow>`select ${commandColumns}
      from claim_commands(${owner.workerId}, ${owner.shardIds}::int[], ${limits.limit},
        ${limits.perNumber}, ${MAX_ATTEMPTS}) m
      where m.state = 'claimed' order by m.created_at, m.command_id`,
  );
  return claimed;
}

/**
 * Puts commands that the worker claimed without getting to know of it back into the queue; those in `known` were
 * given to their numbers. The lost claim counts as an attempt. Returns how many.
 */
export async function recoverCommands(
  executor: Executor,
  owner: { workerId: string; shardIds: number[] },
  known: readonly string[],
): Promise<number> {
  const row = await firstRow(
    executor,
    sql<{ count: number }>`select recover_commands(${owner.workerId}, ${owner.shardIds}::int[],
      ${known}::text[]) as count`,
  );
  return row?.count ?? 0;
}

/**
 * Ends a claimed command, in a fenced transaction of its number and under the epoch that claimed it. False
 * when no such fence is held, or the command has ended (it was past its deadline): then nothing was written
 * and nothing is to be told. Outside a transaction use `giveUpCommand`.
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
      where command_id = ${commandId} and state = 'claimed' and claimed_epoch = held_epoch(number_no)`,
  );
  return count > 0;
}

/**
 * A claimed command that nobody will carry out becomes dead, with the reason. Takes the fence by itself.
 * False when the command has ended.
 * @throws FencedError when the epoch that claimed it is no longer the number's
 */
export async function giveUpCommand(
  db: Database,
  command: CommandRow,
  reason: string,
): Promise<boolean> {
  const { companyNo, numberNo, epoch, commandId } = command;
  return fencedTransaction(db, { companyNo, numberNo, epoch: epoch ?? 0 }, (tx) =>
    finishCommand(tx, commandId, { state: "dead", reason }),
  );
}

function errorOf(outcome: CommandOutcome): string | null {
  if (outcome.state === "failed") return JSON.stringify(outcome.error);
  if (outcome.state === "dead") return JSON.stringify({ reason: outcome.reason });
  return null;
}
