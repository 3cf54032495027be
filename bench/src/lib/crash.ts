/** One of several workers is killed; what that costs its numbers. */
import { until } from "@manyline/testkit";
import { say, seconds } from "./figures.ts";
import { movesFrom, spread } from "./gaps.ts";
import type { Ground, WorkerProcess } from "./ground.ts";
import { busiest, untilReclaimed, workerIdOf } from "./ownership.ts";

export type Crash = { numbers: number; shards: number; reclaimedMs: number; reopenedMs: number };

const REOPEN_DEADLINE_MS = 600_000;

/** SIGKILL to the busiest; resolves when every number of it is logged in again elsewhere. */
export async function crash(ground: Ground, workers: readonly WorkerProcess[]): Promise<Crash> {
  const { client, simulator } = ground;
  const { worker, share } = await busiest(client, workers);
  const id = workerIdOf(worker);
  const startedAt = performance.now();
  const killedAt = Date.now();
  await worker.process.end("SIGKILL");
  const reclaimedMs = await untilReclaimed(client, id, startedAt);
  const moves = await until(
    async () => {
      const found = movesFrom(await simulator.logins(killedAt), worker.name, killedAt);
      return found.missing.length === 0 && found.gaps.size > 0 ? found : undefined;
    },
    { deadlineMs: REOPEN_DEADLINE_MS, intervalMs: 250, label: "all numbers open again" },
  );
  const { p50, p99, max } = spread(moves.gaps.values());
  const reopenedMs = moves.lastLoginAt - killedAt;
  say(`kill -9 of ${worker.name}: ${share.shards} shards, ${moves.gaps.size} open numbers`);
  say(
    `  last shard reclaimed after ${seconds(reclaimedMs)}, last number open after ${seconds(reopenedMs)}`,
  );
  say(
    `  gap per number p50 ${seconds(p50)}, p99 ${seconds(p99)}, max ${seconds(max)}; second logins ${moves.again}`,
  );
  return { numbers: moves.gaps.size, shards: share.shards, reclaimedMs, reopenedMs };
}
