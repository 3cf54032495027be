/**
 * From stored credentials to all numbers open: one session-worker process, beside bare Baileys sockets in a fresh
 * process, by turns against the same simulated WhatsApp. Bars: processor time per opening at most 0.35 of stock
 * Baileys, wall time at most 1.3 of Baileys with its signature check repaired and lean options.
 *
 *   node src/cold-start.ts [--numbers=1000] [--rounds=3] [--stock=300] [--profile=<folder>]
 */
import { openTestDatabase } from "@manyline/db/testing";
import type { BareVariant } from "./lib/bare-sockets.ts";
import { main, readOptions } from "./lib/cli.ts";
import { mebibytes, median, millis, say, seconds, table, verdict } from "./lib/figures.ts";
import { openGround, type Ground } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import { IN_FLIGHT, measureBare, measureWorker, type Measured } from "./lib/measure.ts";
import { cpuMs } from "./lib/processes.ts";
import { watchPools } from "./lib/progress.ts";
import { profileColdStart } from "./lib/cold-profile.ts";
import { readDevices } from "./lib/run-bare.ts";

const BARS = { cpuOfStock: 0.35, wallOfRepaired: 1.3 };
const PRE_KEYS = 30;

type Runs = Record<"stock" | "repaired" | "manyline", Measured[]>;
const NAMES: Record<keyof Runs, string> = {
  stock: "bare Baileys, stock",
  repaired: "bare Baileys, repaired and lean",
  manyline: "session-worker",
};

await main(async () => {
  const options = readOptions({ numbers: 1_000, rounds: 3, stock: 300, profile: "" });
  const { numbers } = options;
  const machine = machineLine();
  const limits = readLimits();
  assertLimits(limits, {
    sockets: numbers,
    ports: 3 * numbers + 1_000,
    memory: numbers * 2 ** 20 + 2 ** 30,
  });
  await using ground = await openGround({ numbers, countsStatements: options.profile !== "" });
  say(`cold start: ${numbers} linked numbers of ${numbers} companies, ${PRE_KEYS} pre-keys each`);
  say(machine);
  say(`${limitsLine(limits)}; ${IN_FLIGHT} openings in flight; Postgres with synchronous commits`);
  say(`seeded in ${seconds(ground.seededInMs)}`);
  if (options.profile !== "") {
    await profileColdStart(ground, options.profile);
    return;
  }
  await sayIdleStart(ground);
  const devices = await readDevices({
    workerUrl: ground.database.urls.worker,
    keyring: ground.database.keyring,
    client: ground.client,
    numbers: ground.numbers,
    preKeys: PRE_KEYS,
  });
  const bare = (variant: BareVariant, count: number) => () =>
    measureBare(ground, variant, devices.slice(0, count));
  const pools = watchPools(ground.client);
  const turns: [keyof Runs, () => Promise<Measured>][] = [
    ["repaired", bare("repaired", numbers)],
    ["manyline", () => measureWorker(ground)],
    ["stock", bare("stock", Math.min(numbers, options.stock))],
  ];
  const runs: Runs = { stock: [], repaired: [], manyline: [] };
  for (let round = 0; round < options.rounds; round += 1) {
    // Whoever comes first in one round comes last in the next.
    for (const [name, run] of round % 2 === 0 ? turns : turns.toReversed()) {
      const measured = await run();
      runs[name].push(measured);
      say(`  round ${round + 1}, ${NAMES[name]}: ${seconds(measured.wallMs)}`);
    }
  }
  say(await pools());
  report(runs);
});

/** What the process itself needs before it has any number: with an empty database of its own. */
async function sayIdleStart(ground: Ground): Promise<void> {
  await using empty = await openTestDatabase({ server: ground.postgres });
  const startedAt = performance.now();
  const worker = await ground.startWorker({ name: "idle", database: empty });
  const tookMs = performance.now() - startedAt;
  const used = cpuMs(worker.process.pid);
  await worker.process.end();
  say(
    `idle start of a worker: ${seconds(tookMs)}, ${millis(used)} processor time (not in the table)`,
  );
}

function report(runs: Runs): void {
  const perOpen = (name: keyof Runs, field: "cpuMs" | "simulatorMs" | "postgresMs"): number =>
    median(runs[name].map((run) => run[field] / run.numbers));
  const wall = (name: keyof Runs): number => median(runs[name].map(({ wallMs }) => wallMs));
  say();
  say(
    table(
      [
        "median of rounds",
        "numbers",
        "wall",
        "opens/s",
        "CPU/open",
        "RSS",
        "simulator",
        "Postgres",
      ],
      (["stock", "repaired", "manyline"] as const).map((name) => {
        const count = runs[name][0]?.numbers ?? 0;
        return [
          NAMES[name],
          String(count),
          seconds(wall(name)),
          ((count * 1_000) / wall(name)).toFixed(0),
          millis(perOpen(name, "cpuMs")),
          mebibytes(median(runs[name].map((run) => run.rssBytes))),
          millis(perOpen(name, "simulatorMs")),
          millis(perOpen(name, "postgresMs")),
        ];
      }),
    ),
  );
  say();
  // Rounds are paired: what else the machine does at the time weighs on both sides.
  const cpu = paired(runs.manyline, runs.stock, (run) => run.cpuMs / run.numbers);
  const time = paired(runs.manyline, runs.repaired, (run) => run.wallMs);
  say(verdict("CPU per open, of stock", cpu, BARS.cpuOfStock, " ×"));
  say(verdict("wall, of repaired and lean", time, BARS.wallOfRepaired, " ×"));
  if (cpu > BARS.cpuOfStock || time > BARS.wallOfRepaired) process.exitCode = 1;
}

function paired(ours: Measured[], theirs: Measured[], value: (run: Measured) => number): number {
  return median(
    ours.flatMap((run, round) => {
      const other = theirs[round];
      return other === undefined ? [] : [value(run) / value(other)];
    }),
  );
}
