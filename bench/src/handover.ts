/**
 * SIGTERM to a worker that serves many numbers, beside one that has none: how long each number is without a
 * connection, from the simulator's record (old connection ended → new login). Bar: p99 at most 2 s with 2,500.
 *
 *   node src/handover.ts [--numbers=2500]
 */
import { main, readOptions } from "./lib/cli.ts";
import { say, seconds, verdict } from "./lib/figures.ts";
import { movesFrom, spread } from "./lib/gaps.ts";
import { openGround } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { sharesByOwner, untilLive } from "./lib/ownership.ts";
import { databaseNow, untilOpen, watchPools } from "./lib/progress.ts";

const BAR_P99_MS = 2_000;
const OPEN_DEADLINE_MS = 600_000;

await main(async () => {
  const { numbers } = readOptions({ numbers: 2_500 });
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    sockets: 2 * numbers,
    ports: 3 * numbers + 1_000,
    memory: 2 * numbers * 2 ** 20 + 2 ** 30,
  });
  await using ground = await openGround({ numbers });
  const { client, simulator } = ground;
  say(`hand-over of ${numbers} linked numbers by SIGTERM, two workers`);
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits`);

  const pools = watchPools(client);
  const since = await databaseNow(client);
  const leaving = await ground.startWorker({
    name: "leaving",
    env: { WORKER_CAPACITY: String(100 * numbers) },
  });
  const openMs = await untilOpen(client, { since, count: numbers, deadlineMs: OPEN_DEADLINE_MS });
  // So small beside the other that its fair share is nothing, until the other leaves.
  await ground.startWorker({ name: "taking", env: { WORKER_CAPACITY: "1" } });
  await untilLive(client, 2);
  const shares = await sharesByOwner(client);
  const shards = [...shares.values()].reduce((sum, share) => sum + share.shards, 0);
  say(`all open after ${seconds(openMs)}; ${shards} shards, owners ${shares.size}`);

  const toldAt = Date.now();
  await leaving.process.end("SIGTERM");
  const goneMs = Date.now() - toldAt;
  await untilOpen(client, {
    since: new Date(toldAt),
    count: numbers,
    deadlineMs: OPEN_DEADLINE_MS,
  });
  const moves = movesFrom(await simulator.logins(toldAt), leaving.name, toldAt);
  const { p50, p99, max } = spread(moves.gaps.values());
  const overlaps = [...moves.gaps.values()].filter((gap) => gap < 0).length;
  say(
    `the leaving process ended after ${seconds(goneMs)}; last new login after ${seconds(moves.lastLoginAt - toldAt)}`,
  );
  say(
    `gap per number: p50 ${seconds(p50)}, p99 ${seconds(p99)}, max ${seconds(max)} (${moves.gaps.size} numbers)`,
  );
  say(`not moved ${moves.missing.length}, overlapping ${overlaps}, second logins ${moves.again}`);
  say(await pools());
  say(verdict("gap p99", p99 / 1_000, BAR_P99_MS / 1_000, " s"));
  if (p99 > BAR_P99_MS || moves.missing.length > 0) process.exitCode = 1;
});
