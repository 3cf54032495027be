/** Who owns what, as Postgres says. */
import { until } from "@manyline/testkit";
import type { Client } from "pg";
import type { WorkerProcess } from "./ground.ts";

/** The worker's present name in the lease table; it says it in its log. */
export function workerIdOf({ name, process }: WorkerProcess): string {
  let id: string | undefined;
  for (const line of process.log().split("\n")) {
    if (line.includes('"worker.started"')) {
      const { worker } = JSON.parse(line) as { worker?: string };
      id = worker;
    }
  }
  if (id === undefined) throw new Error(`${name} has not said who it is`);
  return id;
}

export type Share = { shards: number; numbers: number };

/** Shards and linked numbers by owner. */
export async function sharesByOwner(client: Client): Promise<Map<string, Share>> {
  const answer = await client.query<{ owner: string; shards: number; numbers: number }>(
    `select l.owner, count(distinct l.shard_id)::int as shards, count(n.number_no)::int as numbers
      from shard_leases l left join companies c on c.shard_id = l.shard_id
      left join numbers n on n.company_no = c.company_no
      where l.owner is not null group by l.owner`,
  );
  return new Map(answer.rows.map(({ owner, ...share }) => [owner, share]));
}

/** The one that serves most numbers, and its share. */
export async function busiest(
  client: Client,
  workers: readonly WorkerProcess[],
): Promise<{ worker: WorkerProcess; share: Share }> {
  const shares = await sharesByOwner(client);
  const [first] = workers
    .map((worker) => ({
      worker,
      share: shares.get(workerIdOf(worker)) ?? { shards: 0, numbers: 0 },
    }))
    .toSorted((a, b) => b.share.numbers - a.share.numbers);
  if (first === undefined) throw new Error("no worker");
  return first;
}

/** Until as many workers as wanted have said within 3 s that they live. */
export async function untilLive(client: Client, workers: number): Promise<void> {
  await until(
    async () => {
      const answer = await client.query<{ live: number }>(
        `select count(*)::int as live from workers
          where seen_at > clock_timestamp() - interval '3 seconds'`,
      );
      return (answer.rows[0]?.live ?? 0) >= workers;
    },
    { deadlineMs: 30_000, label: `${workers} live workers` },
  );
}

/** Until the shards do not change hands any more: nobody has more, or other, shards than two seconds before. */
export async function untilSettled(client: Client, deadlineMs = 120_000): Promise<void> {
  let before = "";
  await until(
    async () => {
      const answer = await client.query<{ owners: string }>(
        `select coalesce(string_agg(shard_id || ':' || coalesce(owner, '-') || ':' || epoch, ' '
          order by shard_id), '') as owners from shard_leases`,
      );
      const owners = answer.rows[0]?.owners ?? "";
      const isSettled = owners === before && !owners.includes(":-:");
      before = owners;
      return isSettled;
    },
    { deadlineMs, intervalMs: 2_000, label: "shards at rest" },
  );
}

/** Resolves with the milliseconds from `startedAt` (of `performance.now()`) to the owner having no shard left. */
export async function untilReclaimed(
  client: Client,
  owner: string,
  startedAt: number,
): Promise<number> {
  await until(
    async () => {
      const answer = await client.query<{ left: number }>(
        "select count(*)::int as left from shard_leases where owner = $1",
        [owner],
      );
      return answer.rows[0]?.left === 0;
    },
    { deadlineMs: 120_000, label: "the shards reclaimed" },
  );
  return performance.now() - startedAt;
}
