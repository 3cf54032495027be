/**
 * One worker with linked numbers for a long time, while connections are dropped and come back and a few messages
 * come and go: whether its memory or its handles grow. The slope is a straight line through the resident memory
 * after the warm-up; heap and handles are counted after a collection of garbage.
 *
 *   node src/soak.ts [--minutes=30] [--numbers=300] [--drops=1] [--inbound=5] [--outbound=2]   (each per second)
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { Churn, type ChurnCounts } from "./lib/churn.ts";
import { main, readOptions } from "./lib/cli.ts";
import { mebibytes, say, seconds, table } from "./lib/figures.ts";
import { openGround, type Ground, type WorkerProcess } from "./lib/ground.ts";
import { assertLimits, limitsLine, machineLine, readLimits } from "./lib/machine.ts";
import type { Probe } from "./lib/probe.ts";
import { cpuMs, rssBytes } from "./lib/processes.ts";
import { databaseNow, untilOpen } from "./lib/progress.ts";
import { fitLine } from "./lib/regression.ts";

const OPEN_DEADLINE_MS = 300_000;
const SETTLE_MS = 90_000;
const WARM_UP_SHARE = 1 / 6;
const SAMPLES = 360;
const HOUR_MS = 3_600_000;

await main(async () => {
  const options = readOptions({ minutes: 30, numbers: 300, drops: 1, inbound: 5, outbound: 2 });
  const { numbers, minutes } = options;
  const machine = machineLine();
  const limits = readLimits();
  const memory = numbers * 2 ** 20 + 2 ** 30;
  assertLimits(limits, { sockets: 2 * numbers, ports: 2 * numbers + 1_000, memory });
  await using ground = await openGround({ numbers });
  say(
    `soak: ${numbers} linked numbers in one worker for ${minutes} min; per second ${options.drops} connections ended, ${options.inbound} messages in, ${options.outbound} out`,
  );
  say(machine);
  say(`${limitsLine(limits)}; Postgres with synchronous commits`);

  const probes = join(ground.folder, "probes");
  const since = await databaseNow(ground.client);
  const worker = await ground.startWorker({
    name: "soaked",
    nodeArgs: ["--expose-gc", "--import", join(import.meta.dirname, "lib/probe.ts")],
    env: { BENCH_PROBE: probes, RECONNECT_BASE_MS: "500" },
  });
  const openMs = await untilOpen(ground.client, {
    since,
    count: numbers,
    deadlineMs: OPEN_DEADLINE_MS,
  });
  say(`all open after ${seconds(openMs)}`);

  const runMs = minutes * 60_000;
  const warmUpMs = runMs * WARM_UP_SHARE;
  await using churn = new Churn(ground, options);
  const opened = await look(worker, probes);
  await sampleRss(worker, warmUpMs, SAMPLES);
  const warm = await look(worker, probes);
  const cpuBefore = cpuMs(worker.process.pid);
  const samples = await sampleRss(worker, runMs - warmUpMs, SAMPLES);
  const cpu = (cpuMs(worker.process.pid) - cpuBefore) / (runMs - warmUpMs);
  const busy = await look(worker, probes);
  await churn.stop();
  const restMs = await untilAtRest(ground, churn.done);
  const end = await look(worker, probes);
  report([opened, warm, busy, end]);

  const { slope, error } = fitLine(samples);
  const [first, last] = [samples[0], samples.at(-1)];
  say();
  say(
    `RSS: ${mebibytes(first?.y ?? 0)} after the warm-up of ${seconds(warmUpMs)}, ${mebibytes(last?.y ?? 0)} at the end, at most ${mebibytes(Math.max(...samples.map(({ y }) => y)))}`,
  );
  say(
    `RSS slope: ${perHour(slope)} ± ${perHour(error)} MiB/h (${samples.length} samples); CPU ${(100 * cpu).toFixed(1)} % of a core`,
  );
  const { drops, inbound, outbound } = churn.done;
  const logins = (await ground.simulator.logins(since.getTime())).length;
  say(
    `${drops} times a connection ended or keys were asked for, ${logins} logins; ${inbound} messages in, ${outbound} out; all told, sent and connected again ${seconds(restMs)} after the end`,
  );
});

type Look = Probe & { rss: number; files: number };

/** Everything about the worker at this moment. */
async function look({ process }: WorkerProcess, file: string): Promise<Look> {
  const lines = (): string[] => readText(file).split("\n").slice(0, -1);
  const before = lines().length;
  globalThis.process.kill(process.pid, "SIGUSR2");
  const line = await until(() => lines()[before], { label: "a probe", deadlineMs: 10_000 });
  return {
    ...(JSON.parse(line) as Probe),
    rss: rssBytes(process.pid),
    files: readdirSync(`/proc/${process.pid}/fd`).length,
  };
}

/** Resident bytes over milliseconds. */
async function sampleRss(
  { process }: WorkerProcess,
  forMs: number,
  count: number,
): Promise<{ x: number; y: number }[]> {
  const startedAt = performance.now();
  const samples: { x: number; y: number }[] = [];
  for (let nth = 1; nth <= count; nth += 1) {
    await delay(Math.max(0, (forMs * nth) / count - (performance.now() - startedAt)));
    samples.push({ x: performance.now() - startedAt, y: rssBytes(process.pid) });
  }
  return samples;
}

/** Until every message was told or sent, and every number is connected. Milliseconds it took. */
async function untilAtRest({ client }: Ground, done: ChurnCounts): Promise<number> {
  const startedAt = performance.now();
  let found = "";
  const isAtRest = async (): Promise<boolean> => {
    const { rows } = await client.query<{ received: number; open: number; away: number }>(
      `select (select count(*)::int from messages where direction = 'in') as received,
        (select count(*)::int from messages where direction = 'out' and state not in ('sent', 'delivered', 'read')) as open,
        (select count(*)::int from numbers where status <> 'connected') as away`,
    );
    found = JSON.stringify(rows[0]);
    return rows[0]?.received === done.inbound && rows[0].open === 0 && rows[0].away === 0;
  };
  try {
    await until(isAtRest, { deadlineMs: SETTLE_MS, intervalMs: 250, label: "rest" });
  } catch (error) {
    throw new Error(`of ${done.inbound} in and ${done.outbound} out: ${found}`, { cause: error });
  }
  return performance.now() - startedAt;
}

function report(looks: readonly [Look, Look, Look, Look]): void {
  const kinds = [...new Set(looks.flatMap(({ resources }) => Object.keys(resources)))].toSorted();
  const row = (name: string, value: (look: Look) => string): string[] => [
    name,
    ...looks.map(value),
  ];
  say();
  say(
    table(
      ["worker process", "all open", "warm", "end, busy", "end, at rest"],
      [
        row("RSS", ({ rss }) => mebibytes(rss)),
        row("heap", ({ heapUsed }) => mebibytes(heapUsed)),
        row("external", ({ external }) => mebibytes(external)),
        row("open files", ({ files }) => String(files)),
        ...kinds.map((kind) => row(kind, ({ resources }) => String(resources[kind] ?? 0))),
      ],
    ),
  );
}

function perHour(bytesPerMs: number): string {
  return ((bytesPerMs * HOUR_MS) / 2 ** 20).toFixed(1);
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
