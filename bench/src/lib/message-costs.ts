/** What messages write in Postgres: rows by table, and bytes of its log. */
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";

export type Written = { rows: Map<string, number>; walBytes: number };

/** A connection that rests tells its counts after ten seconds at the latest. */
const STATISTICS_MS = 10_500;

/** What leases and the life of a worker write whether or not anybody writes a message. */
const OTHERS = new Set(["shard_leases", "workers", "numbers", "session_health", "housekeeping"]);

/**
 * Rows and bytes that each of `works` has written, with what comes after it; what the process writes to the log at
 * rest is taken off.
 */
export async function writtenBy(
  client: Client,
  works: readonly (() => Promise<unknown>)[],
): Promise<Written[]> {
  const atRest = await readWritten(client);
  await delay(STATISTICS_MS);
  let before = await readWritten(client);
  const restPerMs = (before.walBytes - atRest.walBytes) / STATISTICS_MS;
  const all: Written[] = [];
  for (const work of works) {
    const startedAt = performance.now();
    await work();
    await delay(STATISTICS_MS);
    const after = await readWritten(client);
    const earlier = before.rows;
    const rows = [...after.rows]
      .map(([name, count]) => [name, count - (earlier.get(name) ?? 0)] as const)
      .filter(([name, count]) => count > 0 && !OTHERS.has(name));
    const atRestBytes = restPerMs * (performance.now() - startedAt);
    const walBytes = Math.max(0, after.walBytes - before.walBytes - atRestBytes);
    all.push({ rows: new Map(rows), walBytes });
    before = after;
  }
  return all;
}

async function readWritten(client: Client): Promise<Written> {
  const tables = await client.query<{ name: string; count: number }>(
    // Partitions count for their table.
    `select regexp_replace(relname, '(_[0-9]+|_default)$', '') as name,
       sum(n_tup_ins + n_tup_upd + n_tup_del)::float8 as count from pg_stat_user_tables group by 1`,
  );
  const wal = await client.query<{ bytes: number }>(
    "select (pg_current_wal_lsn() - '0/0')::float8 as bytes",
  );
  return {
    rows: new Map(tables.rows.map(({ name, count }) => [name, count])),
    walBytes: wal.rows[0]?.bytes ?? 0,
  };
}
