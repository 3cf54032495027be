/** What the database says of the fleet: the same that people are told. */
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "pg";

/** Numbers that were connected anew after `since` and still are, by the database's clock. */
export async function countOpen(client: Client, since: Date): Promise<number> {
  const answer = await client.query<{ count: number }>(
    `select count(*)::int as count from numbers n join companies c on c.company_no = n.company_no
      join shard_leases l on l.shard_id = c.shard_id
      where n.status = 'connected' and n.status_epoch = l.epoch and n.last_connected_at > $1`,
    [since],
  );
  return answer.rows[0]?.count ?? 0;
}

export async function databaseNow(client: Client): Promise<Date> {
  const answer = await client.query<{ now: Date }>("select clock_timestamp() as now");
  const now = answer.rows[0]?.now;
  if (now === undefined) throw new Error("Postgres told no time");
  return now;
}

/** Until all are open anew; milliseconds from the call. @throws when they are not within the deadline */
export async function untilOpen(
  client: Client,
  options: { since: Date; count: number; deadlineMs: number; everyMs?: number },
): Promise<number> {
  const startedAt = performance.now();
  for (;;) {
    const open = await countOpen(client, options.since);
    const tookMs = performance.now() - startedAt;
    if (open >= options.count) return tookMs;
    if (tookMs > options.deadlineMs) {
      throw new Error(`only ${open} of ${options.count} were open after ${tookMs.toFixed(0)} ms`);
    }
    await delay(options.everyMs ?? 50);
  }
}

const SAMPLE_MS = 500;

/** Counts connections by pool until it is asked; then says the most that each had, and what Postgres allows. */
export function watchPools(client: Client): () => Promise<string> {
  const most = new Map<string, number>();
  const look = async (): Promise<void> => {
    const answer = await client.query<{ name: string; count: number }>(
      `select application_name as name, count(*)::int as count from pg_stat_activity
        where backend_type = 'client backend' and application_name <> '' group by 1 order by 1`,
    );
    for (const { name, count } of answer.rows) most.set(name, Math.max(count, most.get(name) ?? 0));
  };
  let looking = look();
  const timer = setInterval(() => {
    // A bench that fails closes its connections first; its own error is the one to be told.
    looking = looking.then(look).catch(() => clearInterval(timer));
  }, SAMPLE_MS);
  return async () => {
    clearInterval(timer);
    await looking;
    const limit = await client.query<{ max_connections: string }>("show max_connections");
    const pools = [...most].map(([name, count]) => `${name} ${count}`).join(", ");
    return `Postgres connections at most: ${pools}; of ${limit.rows[0]?.max_connections ?? "?"}`;
  };
}
