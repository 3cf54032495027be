/** What operators and housekeeping do with commands of all companies. */
import type { CommandState } from "@manyline/contracts";
import { sql } from "kysely";
import { type Executor, firstRow, rows } from "../open.ts";
import { commandColumns, type CommandRow } from "./commands.ts";

/** Commands of all companies or of one, the newest first; `before` is the commandId of the last one seen. Role platform. */
export async function listCommands(
  executor: Executor,
  page: {
    state?: CommandState | undefined;
    companyNo?: number | undefined;
    before?: string | undefined;
    limit: number;
  },
): Promise<CommandRow[]> {
  const { state, companyNo, before, limit } = page;
  const conditions = [
    sql`true`,
    // As a literal, so that the index of the dead ones serves.
    ...(state === undefined ? [] : [sql`m.state = ${sql.lit(state)}`]),
    ...(companyNo === undefined ? [] : [sql`m.company_no = ${companyNo}`]),
    ...(before === undefined ? [] : [sql`m.command_id < ${before}`]),
  ];
  return rows(
    executor,
    sql<CommandRow>`select ${commandColumns} from commands m where ${sql.join(conditions, sql` and `)}
      order by m.command_id desc limit ${limit}`,
  );
}

/**
 * Gives a dead command to the owner again: a new row with the same verb, arguments and queue, a new id and a
 * new deadline. Undefined when it is not dead, or was replayed and the replay is not dead. Role platform.
 * Poke `shardPoke(shardId)` after the commit.
 */
export async function replayCommand(
  executor: Executor,
  commandId: string,
  newCommandId: string,
  deadlineMs: number,
): Promise<
  { shardId: number; hasOwner: boolean; isPaused: boolean; command: CommandRow } | undefined
> {
  // Two operators at once: the second one sees the first one's replay.
  await sql`select pg_advisory_xact_lock(hashtext('replay'), hashtext(${commandId}))`.execute(
    executor,
  );
  const row = await firstRow(
    executor,
    sql<CommandRow & { shardId: number; hasOwner: boolean; isPaused: boolean }>`
      with m as (
        insert into commands (company_no, command_id, number_no, verb, args, queue, replay_of, deadline_at)
        select d.company_no, ${newCommandId}, d.number_no, d.verb, d.args, d.queue, d.command_id,
          clock_timestamp() + ${deadlineMs}::bigint * interval '1 millisecond'
        from commands d
        where d.command_id = ${commandId} and d.state = 'dead' and not exists (
          select 1 from commands r where r.company_no = d.company_no and r.number_no = d.number_no
            and r.replay_of = d.command_id and r.state <> 'dead')
        returning *
      )
      select ${commandColumns}, c.shard_id,
        coalesce(l.owner is not null and l.expires_at > clock_timestamp(), false) as has_owner,
        coalesce(l.paused, false) as is_paused
      from m join companies c on c.company_no = m.company_no
      left join shard_leases l on l.shard_id = c.shard_id`,
  );
  if (row === undefined) return undefined;
  const { shardId, hasOwner, isPaused, ...command } = row;
  return { shardId, hasOwner, isPaused, command };
}

/** Commands past their deadline become dead, whosever they are. Returns how many. Role worker. */
export async function expireCommands(executor: Executor, limit = 5_000): Promise<number> {
  return countOf(executor, sql<{ count: number }>`select expire_commands(${limit}) as count`);
}

/** Commands that ended more than `keepMs` ago (7 days) are deleted. Role worker. */
export async function deleteOldCommands(executor: Executor, keepMs: number): Promise<number> {
  return countOf(
    executor,
    sql<{ count: number }>`
      select delete_old_commands(${keepMs}::bigint * interval '1 millisecond') as count`,
  );
}

async function countOf(
  executor: Executor,
  statement: ReturnType<typeof sql<{ count: number }>>,
): Promise<number> {
  return (await firstRow(executor, statement))?.count ?? 0;
}
