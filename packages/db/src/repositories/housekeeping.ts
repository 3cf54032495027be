import { sql } from "kysely";
import { changed, type Executor } from "../open.ts";
import { type Count, countOf, keep } from "./counted.ts";
import { deleteOldCommands, expireCommands } from "./command-operations.ts";
import { deleteOldDeliveries } from "./delivery-log.ts";
import { deleteOldNotifications } from "./notifications.ts";
import { deleteOldPublications, dropOldPartitions, ensurePartitions } from "./events.ts";
import {
  deleteOldIdempotency,
  deleteOldJournal,
  deleteOldMedia,
  deleteOldSeen,
  deleteOldUnroutable,
  deleteRetiredFlowKeys,
  deleteOldUsage,
  deleteKnownSends,
  dropOldMessages,
  ensureMessagePartitions,
  purgeRemovedNumbers,
} from "./message-retention.ts";
import { deleteOldAttempts, eraseExpiredSecrets } from "./pairing-attempts.ts";

const DAY_MS = 86_400_000;

/**
 * Whether this worker or gateway may do the task now: nobody else has done it within `ttlMs`. One statement;
 * the task should end well before its `ttlMs`. Role worker or platform.
 */
export async function tryHousekeeping(
  executor: Executor,
  name: string,
  workerId: string,
  ttlMs: number,
): Promise<boolean> {
  const count = await changed(
    executor,
    sql`insert into housekeeping as h (name, owner, expires_at)
      values (${name}, ${workerId}, clock_timestamp() + ${ttlMs}::bigint * interval '1 millisecond')
      on conflict (name) do update set owner = excluded.owner, expires_at = excluded.expires_at,
        ran_at = clock_timestamp()
      where h.expires_at < clock_timestamp()`,
  );
  return count > 0;
}

export type RetentionOptions = {
  /** Days of the event log; default 8. */
  eventDays?: number;
  /** Days after the end of an attempt; default 30. */
  attemptDays?: number;
  /** Days after the end of a command; default 7. */
  commandDays?: number;
  /** Days after a token expired or was revoked; default 30. */
  tokenDays?: number;
  /** Days of the history of shards; default 7. */
  moveDays?: number;
  /** Days after a bulk job was finished; default 30. */
  jobDays?: number;
  /** Days of messages and their files, at least 10; default 90. Messages go by whole months. */
  messageDays?: number;
};

/**
 * Runs every rule: makes room for the next days' events, ends what is overdue, deletes what was kept long
 * enough. Role worker, not in a transaction, best once a minute by one worker (`tryHousekeeping`). A rule
 * that fails does not keep the others from running; its error is thrown at the end. Returns how much each
 * rule did.
 */
export async function housekeeping(
  executor: Executor,
  options: RetentionOptions = {},
): Promise<Record<string, number>> {
  const { eventDays = 8, attemptDays = 30, commandDays = 7, tokenDays = 30 } = options;
  const { moveDays = 7, jobDays = 30, messageDays = 90 } = options;
  const rules: [name: string, run: () => Promise<number>][] = [
    ["partitionsMade", () => ensurePartitions(executor, 3)],
    ["eventDaysDropped", () => dropOldPartitions(executor, eventDays)],
    ["publicationsDeleted", () => deleteOldPublications(executor, 3 * DAY_MS)],
    ["commandsExpired", () => expireCommands(executor)],
    ["commandsDeleted", () => deleteOldCommands(executor, commandDays * DAY_MS)],
    ["secretsErased", () => eraseExpiredSecrets(executor)],
    ["attemptsDeleted", () => deleteOldAttempts(executor, attemptDays * DAY_MS)],
    ["watchesDeleted", () => deleteOldWatches(executor, DAY_MS)],
    ["limitsDeleted", () => deleteOldLimits(executor, DAY_MS)],
    ["tokensDeleted", () => deleteOldTokens(executor, tokenDays * DAY_MS)],
    ["workersDeleted", () => deleteOldWorkers(executor, 7 * DAY_MS)],
    ["movesDeleted", () => deleteOldMoves(executor, moveDays * DAY_MS)],
    ["jobsDeleted", () => deleteOldJobs(executor, jobDays * DAY_MS)],
    ["messageMonthsMade", () => ensureMessagePartitions(executor, 2)],
    ["messageMonthsDropped", () => dropOldMessages(executor, messageDays)],
    ["mediaDeleted", () => deleteOldMedia(executor, messageDays * DAY_MS)],
    ["journalDeleted", () => deleteOldJournal(executor, 8 * DAY_MS)],
    ["seenDeleted", () => deleteOldSeen(executor, 9 * DAY_MS)],
    ["knownSendsDeleted", () => deleteKnownSends(executor)],
    ["unroutableDeleted", () => deleteOldUnroutable(executor, 30 * DAY_MS)],
    ["flowKeysDeleted", () => deleteRetiredFlowKeys(executor, DAY_MS)],
    ["deliveriesDeleted", () => deleteOldDeliveries(executor, 8 * DAY_MS)],
    ["notificationsDeleted", () => deleteOldNotifications(executor, 30 * DAY_MS)],
    ["usageDeleted", () => deleteOldUsage(executor)],
    ["idempotencyDeleted", () => deleteOldIdempotency(executor, 9 * DAY_MS)],
    ["removedPurged", () => purgeRemovedNumbers(executor, 5_000)],
  ];
  const done: Record<string, number> = {};
  const errors: unknown[] = [];
  for (const [name, run] of rules) {
    try {
      done[name] = await run();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length > 0) throw new AggregateError(errors, "housekeeping failed in part");
  return done;
}

/** Watches that ran out more than `keepMs` ago. */
export async function deleteOldWatches(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_watches(${keep(keepMs)}) as count`);
}

/** Limits nobody has touched for `keepMs` beyond their window and cooldown. */
export async function deleteOldLimits(executor: Executor, keepMs: number): Promise<number> {
  const companies = await changed(
    executor,
    sql`delete from whatsapp_rate_limits where end_told and updated_at < ${ago(keepMs)}
      and coalesce(blocked_until, updated_at) < ${ago(keepMs)}
      and updated_at + window_ms * interval '1 millisecond' < clock_timestamp()`,
  );
  const phones = await changed(
    executor,
    sql`delete from pairing_phone_limits where updated_at < ${ago(keepMs)}`,
  );
  return companies + phones;
}

/** Tokens, links and cookies that expired or were revoked more than `keepMs` ago. */
export async function deleteOldTokens(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_tokens(${keep(keepMs)}) as count`);
}

/** Workers last seen more than `keepMs` ago that own nothing. */
export async function deleteOldWorkers(executor: Executor, keepMs: number): Promise<number> {
  return changed(
    executor,
    sql`delete from workers w where w.seen_at < ${ago(keepMs)}
      and not exists (select 1 from shard_leases l where l.owner = w.worker_id)`,
  );
}

/** The history of shards older than `keepMs`. */
export async function deleteOldMoves(executor: Executor, keepMs: number): Promise<number> {
  return changed(executor, sql`delete from shard_moves where at < ${ago(keepMs)}`);
}

/** Bulk jobs that were finished more than `keepMs` ago, with their items. */
export async function deleteOldJobs(executor: Executor, keepMs: number): Promise<number> {
  return countOf(executor, sql<Count>`select delete_old_jobs(${keep(keepMs)}) as count`);
}

function ago(ms: number) {
  return sql`statement_timestamp() - ${keep(ms)}`;
}
