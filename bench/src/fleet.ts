/**
 * The whole fleet on one machine: every number of its own company, several workers; all open, at rest, then one
 * worker killed and its share reopened. Bar: all open within 180 s of the start of the processes.
 *
 *   node src/fleet.ts [--numbers=10000] [--workers=4] [--rest=10]
 */
import { setTimeout as delay } from "node:timers/promises";
import { main, readOptions } from "./lib/cli.ts";
import { crash } from "./lib/crash.ts";
import { mebibytes, say, seconds, table, verdict } from "./lib/figures.ts";
import { openGround, type Ground, type WorkerProcess } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { sharesByOwner, untilSettled, workerIdOf } from "./lib/ownership.ts";
import { cpuMs, rssBytes, treeCpuMs } from "./lib/processes.ts";
import { databaseNow, untilOpen, watchPools } from "./lib/progress.ts";

const BAR_MS = 180_000;
const OPEN_DEADLINE_MS = 900_000;

await main(async () => {
  const { numbers, workers, rest } = readOptions({ numbers: 10_000, workers: 4, rest: 10 });
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    // Of the simulator: all of them, and a dead worker's beside their successors.
    sockets: Math.ceil(1.5 * numbers),
    ports: 2 * numbers + 1_000,
    memory: numbers * 0.6 * 2 ** 20 + workers * 2 ** 28 + 2 ** 30,
  });
  await using ground = await openGround({ numbers });
  const { client } = ground;
  say(
    `fleet: ${numbers} linked numbers of ${numbers} companies, 30 pre-keys each, ${workers} workers`,
  );
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits`);
  say(`seeded by adopt in ${seconds(ground.seededInMs)}`);

  const pools = watchPools(client);
  const since = await databaseNow(client);
  const startedAt = performance.now();
  const before = serverCpu(ground);
  const started = await Promise.all(
    Array.from({ length: workers }, (_, index) => ground.startWorker({ name: `w${index + 1}` })),
  );
  const readyMs = performance.now() - startedAt;
  const openMs =
    readyMs +
    (await untilOpen(client, {
      since,
      count: numbers,
      deadlineMs: OPEN_DEADLINE_MS,
      everyMs: 500,
    }));
  say(
    `processes ready after ${seconds(readyMs)}, all open after ${seconds(openMs)}: ${((numbers * 1_000) / openMs).toFixed(0)} opens/s`,
  );
  const opening = serverCpu(ground);
  await untilSettled(client);
  await sayWorkers(ground, started, rest);
  say(
    `CPU while opening: simulator ${seconds(opening.simulator - before.simulator)}, Postgres ${seconds(opening.postgres - before.postgres)}; simulator now ${mebibytes(rssBytes(ground.simulator.process.pid))}`,
  );
  say();
  await crash(ground, started);
  say(await pools());
  say();
  say(verdict("all open", openMs / 1_000, BAR_MS / 1_000, " s"));
  if (openMs > BAR_MS) process.exitCode = 1;
});

function serverCpu({ simulator, postgres }: Ground): { simulator: number; postgres: number } {
  return { simulator: cpuMs(simulator.process.pid), postgres: treeCpuMs(postgres.pid ?? 0) };
}

async function sayWorkers(
  ground: Ground,
  workers: readonly WorkerProcess[],
  restSeconds: number,
): Promise<void> {
  const shares = await sharesByOwner(ground.client);
  const atOpen = workers.map(({ process }) => cpuMs(process.pid));
  await delay(restSeconds * 1_000);
  const rows = workers.map(({ name, process, ...worker }, index) => {
    const used = atOpen[index] ?? 0;
    const share = shares.get(workerIdOf({ name, process, ...worker }));
    return [
      name,
      String(share?.shards ?? 0),
      String(share?.numbers ?? 0),
      seconds(used),
      `${((cpuMs(process.pid) - used) / (restSeconds * 10)).toFixed(1)} %`,
      mebibytes(rssBytes(process.pid)),
    ];
  });
  say(table(["worker", "shards", "numbers", "CPU till open", "at rest", "RSS"], rows));
}
