/** One notifier at a time puts the stream into the queues, in its order; the next goes on where it stopped. */
import { setTimeout as delay } from "node:timers/promises";
import { sql } from "kysely";
import { type Database, type Executor, firstRow } from "../open.ts";
import type { StreamPlace } from "./deliveries.ts";

/** How far the stream is in the queues. Role notify. */
export async function intakePlace(executor: Executor): Promise<StreamPlace | undefined> {
  return firstRow(executor, sql<StreamPlace>`select incarnation, stream_seq from webhook_intake`);
}

/**
 * Runs `work` if nobody else does, on any machine; false: somebody does. The signal ends when the connection that says so is
 * gone, and then others may begin. Role notify.
 */
export async function asOnlyReader(
  db: Database,
  work: (signal: AbortSignal) => Promise<void>,
  lookMs = 1_000,
): Promise<boolean> {
  return db.connection().execute(async (connection) => {
    const row = await firstRow(
      connection,
      sql<{ isMine: boolean }>`select pg_try_advisory_lock(hashtext('webhook_intake')) as is_mine`,
    );
    if (!row?.isMine) return false;
    const gone = new AbortController();
    const ended = new AbortController();
    const watching = watch(connection, lookMs, ended.signal).catch((error: unknown) =>
      gone.abort(error),
    );
    try {
      await work(gone.signal);
    } finally {
      ended.abort();
      await watching;
      await sql`select pg_advisory_unlock(hashtext('webhook_intake'))`
        .execute(connection)
        .catch(() => undefined);
    }
    return true;
  });
}

async function watch(connection: Executor, everyMs: number, end: AbortSignal): Promise<void> {
  while (!end.aborted) {
    await delay(everyMs, undefined, { signal: end }).catch(() => undefined);
    if (!end.aborted) await sql`select 1`.execute(connection);
  }
}
