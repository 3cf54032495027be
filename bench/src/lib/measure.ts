/** One cold start of everything a ground holds, and what it took. */
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { SETTLE_MS } from "./bare-fleet.ts";
import type { BareVariant, StoredDevice } from "./bare-sockets.ts";
import type { Ground, WorkerProcess } from "./ground.ts";
import { cpuMs, rssBytes, treeCpuMs } from "./processes.ts";
import { databaseNow, untilOpen } from "./progress.ts";
import { runBare } from "./run-bare.ts";

export type Measured = {
  numbers: number;
  /** From the moment the process is ready to the moment all are open. */
  wallMs: number;
  /** Of the process, from ready to a second after the last was open. */
  cpuMs: number;
  rssBytes: number;
  /** Of the simulator and of Postgres in that time. */
  simulatorMs: number;
  postgresMs: number;
};

export const IN_FLIGHT = 25;
const DEADLINE_MS = 600_000;
/** Counting what is open takes Postgres 2 ms: looked for often, it slows down what is measured. Late by so much at most. */
const LOOK_EVERY_MS = 100;

export async function measureBare(
  ground: Ground,
  variant: BareVariant,
  devices: StoredDevice[],
): Promise<Measured> {
  const others = watchOthers(ground);
  const { url, rootKey } = ground.simulator;
  const result = await runBare({ variant, url, rootKey, inFlight: IN_FLIGHT, devices });
  const measured = { numbers: devices.length, ...result, ...others() };
  await untilClosed(ground);
  return measured;
}

/** Starts a worker, opens everything, calls `whileOpen`, and ends the worker. */
export async function measureWorker(
  ground: Ground,
  options: {
    nodeArgs?: string[];
    whileOpen?: (worker: WorkerProcess) => Promise<void>;
    whenReady?: () => Promise<void>;
  } = {},
): Promise<Measured> {
  const { client, numbers } = ground;
  const since = await databaseNow(client);
  const worker = await ground.startWorker({
    name: "worker",
    env: {
      OPEN_LIMIT: String(IN_FLIGHT),
      WORKER_CAPACITY: String(Math.max(2_500, numbers.length)),
    },
    ...(options.nodeArgs === undefined ? {} : { nodeArgs: options.nodeArgs }),
  });
  const { pid } = worker.process;
  const before = cpuMs(pid);
  const others = watchOthers(ground);
  await options.whenReady?.();
  const wallMs = await untilOpen(client, {
    since,
    count: numbers.length,
    deadlineMs: DEADLINE_MS,
    everyMs: LOOK_EVERY_MS,
  });
  await delay(SETTLE_MS);
  const measured = {
    numbers: numbers.length,
    wallMs,
    cpuMs: cpuMs(pid) - before,
    rssBytes: rssBytes(pid),
    ...others(),
  };
  await options.whileOpen?.(worker);
  await worker.process.end();
  await untilClosed(ground);
  return measured;
}

function watchOthers({ simulator, postgres }: Ground): () => {
  simulatorMs: number;
  postgresMs: number;
} {
  const simulatorBefore = cpuMs(simulator.process.pid);
  const postgresBefore = treeCpuMs(postgres.pid ?? 0);
  return () => ({
    simulatorMs: cpuMs(simulator.process.pid) - simulatorBefore,
    postgresMs: treeCpuMs(postgres.pid ?? 0) - postgresBefore,
  });
}

/** The next run must not meet what the last one left open. */
export async function untilClosed({ simulator }: Ground): Promise<void> {
  await until(async () => (await simulator.connected()) === 0, {
    deadlineMs: 60_000,
    intervalMs: 100,
    label: "all connections closed",
  });
}
