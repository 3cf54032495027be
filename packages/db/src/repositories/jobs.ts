/** Bulk jobs: one command for each of many numbers. The pace is the caller's. Role platform. */
import { COMMANDS } from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows } from "../open.ts";
import { isOfLiveLease } from "./lease-rules.ts";
import type { JobItemState, JobKind, JobState } from "../schema/jobs.ts";

export type { JobItemState, JobKind, JobState } from "../schema/jobs.ts";

export type JobRow = {
  jobId: string;
  kind: JobKind;
  state: JobState;
  /** Commands a second, as asked for. */
  perSecond: number;
  total: number;
  waiting: number;
  sent: number;
  done: number;
  failed: number;
  skipped: number;
  createdBy: string;
  createdAt: Date;
  /** Since when nothing waits and nothing that was sent is unanswered. */
  finishedAt: Date | null;
};

export type JobInput = {
  jobId: string;
  kind: JobKind;
  perSecond: number;
  createdBy: string;
  /** Left out: all companies. */
  companyNos?: readonly number[];
};

export type JobItemRow = {
  companyNo: number;
  numberNo: number;
  state: JobItemState;
  /** Of a failed one: an error code, or why the command is dead. Of a skipped one: why. */
  reason: string | null;
  commandId: string | null;
};

const columns = sql.raw(
  [
    "j.job_id, j.kind, j.state, j.per_second, j.created_by, j.created_at, j.finished_at, i.total, i.waiting",
    "i.sent, i.done, i.failed, i.skipped",
  ].join(", "),
);
const from = sql.raw(`from jobs j cross join lateral (
  select count(*) as total, count(*) filter (where state = 'waiting') as waiting,
    count(*) filter (where state = 'sent') as sent, count(*) filter (where state = 'done') as done,
    count(*) filter (where state = 'failed') as failed, count(*) filter (where state = 'skipped') as skipped
  from job_items where job_id = j.job_id) i`);

/** What a job of a kind is for: `numbers n` of `companies c`, with `shard_leases l`. A null: still; else why not. */
const nothingToDo: Record<JobKind, ReturnType<typeof sql<string | null>>> = {
  reconnect: sql<string | null>`case
    when not c.whatsapp_enabled then 'disabled'
    when n.desired_state <> 'connected' then 'disconnected_by_wish'
    when not exists (select 1 from auth_creds k
      where k.company_no = n.company_no and k.number_no = n.number_no) then 'not_linked'
    -- Locked, banned, replaced by another program: knocking again makes it worse.
    when n.status = 'error' and n.reason <> 'client_outdated' then 'needs_a_person'
    when n.status = 'connected' and ${isOfLiveLease} then 'connected'
    end`,
  pair: sql<string | null>`case
    when not c.whatsapp_enabled then 'disabled'
    when exists (select 1 from auth_creds k
      where k.company_no = n.company_no and k.number_no = n.number_no) then 'linked'
    end`,
};

/**
 * Writes a job with an item for every number there is something to do for: `reconnect`: linked, wished
 * connected, not connected now, and not in an error that a person has to see to; `pair`: without credentials. Only of enabled companies and of provider
 * linked, and not what an unfinished job of the same kind has before it. Without any the job is done at once.
 */
export async function createJob(executor: Executor, input: JobInput): Promise<JobRow> {
  const { jobId, kind, perSecond, createdBy } = input;
  const only = input.companyNos === undefined ? null : [...input.companyNos];
  await sql`insert into jobs (job_id, kind, per_second, created_by)
    values (${jobId}, ${kind}, ${perSecond}, ${createdBy})`.execute(executor);
  await sql`insert into job_items (job_id, company_no, number_no)
    select ${jobId}, n.company_no, n.number_no
    from numbers n join companies c on c.company_no = n.company_no
    left join shard_leases l on l.shard_id = c.shard_id
    where n.provider = 'linked' and (${only}::int[] is null or n.company_no = any (${only}::int[]))
      and ${nothingToDo[kind]} is null
      and not exists (select 1 from job_items i join jobs j on j.job_id = i.job_id
        where i.company_no = n.company_no and i.number_no = n.number_no and i.state in ('waiting', 'sent')
          and j.kind = ${kind})`.execute(executor);
  await finishJob(executor, jobId);
  const job = await getJob(executor, jobId);
  if (job === undefined) throw new Error("a job was not written");
  return job;
}

export async function getJob(executor: Executor, jobId: string): Promise<JobRow | undefined> {
  return firstRow(executor, sql<JobRow>`select ${columns} ${from} where j.job_id = ${jobId}`);
}

/** The newest first; `before` is the jobId of the last one seen. */
export async function listJobs(
  executor: Executor,
  page: { limit: number; before?: string | undefined },
): Promise<JobRow[]> {
  const { limit, before = null } = page;
  return rows(
    executor,
    sql<JobRow>`select ${columns} ${from}
      where ${before}::text is null or j.job_id < ${before}::text order by j.job_id desc limit ${limit}`,
  );
}

/** Jobs that are not finished, oldest first; a cancelled one is among them until all that was sent is answered. */
export async function runningJobs(executor: Executor): Promise<JobRow[]> {
  return rows(
    executor,
    sql<JobRow>`select ${columns} ${from} where j.finished_at is null order by j.job_id`,
  );
}

/** What waits is skipped (`cancelled`); what was sent goes on. False: it is not running. */
export async function cancelJob(executor: Executor, jobId: string): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update jobs set state = 'cancelled' where job_id = ${jobId} and state = 'running'`,
  );
  if (count === 0) return false;
  await sql`update job_items set state = 'skipped', reason = 'cancelled', updated_at = clock_timestamp()
    where job_id = ${jobId} and state = 'waiting'`.execute(executor);
  await finishJob(executor, jobId);
  return true;
}

/** The items of a job in the order of number_no; `after` is that of the last one seen. */
export async function listJobItems(
  executor: Executor,
  jobId: string,
  page: { state?: JobItemState | undefined; limit: number; after?: number | undefined },
): Promise<JobItemRow[]> {
  const { state = null, limit, after = 0 } = page;
  return rows(
    executor,
    sql<JobItemRow>`select company_no, number_no, state, reason, command_id from job_items
      where job_id = ${jobId} and number_no > ${after}
        and (${state}::text is null or state = ${state}::text)
      order by number_no limit ${limit}`,
  );
}

type DueItem = {
  shardId: number;
  companyNo: number;
  numberNo: number;
  kind: JobKind;
  phone: string | null;
  obstacle: string | null;
};

/**
 * Makes commands of at most `limit` waiting items of a running job, in a transaction: `reconnect`, or for
 * pairing `pair_code` with the number's phone (for a primary without one the company's), else `ask_phone`.
 * Items whose number has no live owner at this moment wait on; those that need nothing any more are
 * skipped and do not count. Returns what was sent: poke their shards after the commit.
 */
export async function startJobItems(
  executor: Executor,
  jobId: string,
  limit: number,
  newCommandId: () => string,
): Promise<{ shardId: number; companyNo: number; numberNo: number; commandId: string }[]> {
  const sent: (DueItem & { commandId: string })[] = [];
  for (;;) {
    const due = await lockDueItems(executor, jobId, limit - sent.length);
    const idle = due.filter(({ obstacle }) => obstacle !== null);
    if (idle.length > 0) await skipItems(executor, jobId, idle);
    for (const item of due) {
      if (item.obstacle === null) sent.push({ ...item, commandId: newCommandId() });
    }
    if (idle.length === 0 || sent.length >= limit) break;
  }
  await sendItems(executor, jobId, sent);
  return sent.map(({ shardId, companyNo, numberNo, commandId }) => ({
    shardId,
    companyNo,
    numberNo,
    commandId,
  }));
}

async function lockDueItems(executor: Executor, jobId: string, limit: number): Promise<DueItem[]> {
  return rows(
    executor,
    sql<DueItem>`
      select c.shard_id, i.company_no, i.number_no, j.kind,
        coalesce(n.phone_e164, case when n.is_primary then c.phone end) as phone,
        case j.kind when 'reconnect' then ${nothingToDo.reconnect} else ${nothingToDo.pair} end as obstacle
      from jobs j
      join job_items i on i.job_id = j.job_id
      join numbers n on n.company_no = i.company_no and n.number_no = i.number_no
      join companies c on c.company_no = i.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where j.job_id = ${jobId} and j.state = 'running' and i.state = 'waiting'
        and l.owner is not null and l.expires_at > clock_timestamp()
      order by i.number_no limit ${limit} for update of i skip locked`,
  );
}

async function skipItems(
  executor: Executor,
  jobId: string,
  items: readonly DueItem[],
): Promise<void> {
  await sql`update job_items i set state = 'skipped', reason = w.reason, updated_at = clock_timestamp()
    from unnest(${items.map(({ numberNo }) => numberNo)}::int[],
      ${items.map(({ obstacle }) => obstacle)}::text[]) as w (number_no, reason)
    where i.job_id = ${jobId} and i.number_no = w.number_no`.execute(executor);
}

async function sendItems(
  executor: Executor,
  jobId: string,
  items: readonly (DueItem & { commandId: string })[],
): Promise<void> {
  if (items.length === 0) return;
  const verbs = items.map(verbOf);
  const args = items.map((item) =>
    JSON.stringify(verbOf(item) === "pair_code" ? { phone: item.phone } : {}),
  );
  await sql`with w as (
      select * from unnest(${items.map(({ companyNo }) => companyNo)}::int[],
        ${items.map(({ numberNo }) => numberNo)}::int[], ${items.map(({ commandId }) => commandId)}::text[],
        ${verbs}::text[], ${args}::text[], ${verbs.map((verb) => COMMANDS[verb].deadlineMs)}::bigint[])
        as w (company_no, number_no, command_id, verb, args, deadline_ms)
    ), commanded as (
      insert into commands (company_no, command_id, number_no, verb, args, deadline_at)
      select company_no, command_id, number_no, verb, args::jsonb,
        clock_timestamp() + deadline_ms * interval '1 millisecond'
      from w
    )
    update job_items i set state = 'sent', command_id = w.command_id, updated_at = clock_timestamp()
    from w where i.job_id = ${jobId} and i.number_no = w.number_no`.execute(executor);
}

function verbOf({ kind, phone }: DueItem): "reconnect" | "pair_code" | "ask_phone" {
  if (kind === "reconnect") return "reconnect";
  return phone === null ? "ask_phone" : "pair_code";
}

/**
 * Notes what became of the commands that were sent. When nothing waits and nothing is unanswered, the job
 * is finished.
 */
export async function settleJobItems(executor: Executor, jobId: string): Promise<void> {
  await sql`update job_items i set updated_at = clock_timestamp(),
      state = case when m.state = 'done' then 'done' else 'failed' end,
      reason = case when m.state = 'done' then null
        else coalesce(m.error ->> 'code', m.error ->> 'reason', 'gone') end
    from job_items s
    left join commands m on m.company_no = s.company_no and m.command_id = s.command_id
    where s.job_id = ${jobId} and s.state = 'sent' and (m.command_id is null or m.finished_at is not null)
      and i.job_id = s.job_id and i.number_no = s.number_no`.execute(executor);
  await finishJob(executor, jobId);
}

async function finishJob(executor: Executor, jobId: string): Promise<void> {
  await sql`update jobs j set finished_at = clock_timestamp(),
      state = case when j.state = 'running' then 'done' else j.state end
    where j.job_id = ${jobId} and j.finished_at is null and not exists (
      select 1 from job_items i where i.job_id = j.job_id and i.state in ('waiting', 'sent'))`.execute(
    executor,
  );
}
