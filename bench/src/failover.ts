/**
 * kill -9 of one of several workers: time to the claim of its last shard (bar 12 s), and to the last of its
 * numbers being logged in again.
 *
 *   node src/failover.ts [--numbers=1000] [--workers=4]
 */
import { main, readOptions } from "./lib/cli.ts";
import { crash } from "./lib/crash.ts";
import { say, verdict } from "./lib/figures.ts";
import { openGround } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { sharesByOwner, untilLive, untilSettled } from "./lib/ownership.ts";
import { databaseNow, untilOpen, watchPools } from "./lib/progress.ts";

const BAR_MS = 12_000;
const OPEN_DEADLINE_MS = 600_000;

await main(async () => {
  const { numbers, workers } = readOptions({ numbers: 1_000, workers: 4 });
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    sockets: 2 * numbers,
    ports: 3 * numbers + 1_000,
    memory: 2 * numbers * 2 ** 20 + 2 ** 30,
  });
  await using ground = await openGround({ numbers });
  const { client } = ground;
  say(`failover: ${numbers} linked numbers on ${workers} workers, one of them killed`);
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits`);

  const pools = watchPools(client);
  const since = await databaseNow(client);
  const started = await Promise.all(
    Array.from({ length: workers }, (_, index) => ground.startWorker({ name: `w${index + 1}` })),
  );
  await untilLive(client, workers);
  await untilSettled(client);
  await untilOpen(client, { since, count: numbers, deadlineMs: OPEN_DEADLINE_MS });
  const shares = [...(await sharesByOwner(client)).values()];
  say(`all open, shards at rest; numbers by owner: ${shares.map((one) => one.numbers).join(", ")}`);
  const { reclaimedMs } = await crash(ground, started);
  say(await pools());
  say(verdict("reclaimed", reclaimedMs / 1_000, BAR_MS / 1_000, " s"));
  if (reclaimedMs > BAR_MS) process.exitCode = 1;
});
