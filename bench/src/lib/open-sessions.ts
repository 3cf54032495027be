/** Linked numbers held open by one process, for what they cost while nothing happens. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { openTestDatabase } from "@manyline/db/testing";
import { seedLinkedNumbers } from "@manyline/local/testing";
import { until } from "@manyline/testkit";
import { Client } from "pg";
import { BarePeer } from "./bare-peer.ts";
import type { BareVariant } from "./bare-sockets.ts";
import type { Ground } from "./ground.ts";
import { untilClosed } from "./measure.ts";
import { seedDevices } from "./message-sides.ts";
import type { Memory } from "./memory.ts";
import { databaseNow, untilOpen } from "./progress.ts";

export type OpenSessions = AsyncDisposable & {
  pid: number;
  /** Before it had any number. */
  base: Memory;
  /** After three collections. */
  memory: () => Promise<Memory>;
};

const IN_FLIGHT = 25;
const OPEN_DEADLINE_MS = 900_000;
const HOOK = join(import.meta.dirname, "gc-on-signal.ts");

/** Phones of one run must not be those of another. */
let nextPhone = 79_400_000_000;

function takePhones(count: number): number {
  const first = nextPhone;
  nextPhone += count;
  return first;
}

export async function openBareSessions(
  ground: Ground,
  size: number,
  variant: BareVariant,
  nodeArgs: string[],
): Promise<OpenSessions> {
  await using stack = new AsyncDisposableStack();
  const devices = await seedDevices(ground, takePhones(size), size);
  stack.defer(() => untilClosed(ground));
  const peer = stack.use(new BarePeer(nodeArgs));
  const base = await peer.ask({ ask: "memory" });
  const { url, rootKey } = ground.simulator;
  const task = { variant, url, rootKey, inFlight: IN_FLIGHT, devices: devices.stored };
  await peer.ask({ ask: "open", task });
  const kept = stack.move();
  return {
    pid: peer.pid,
    base,
    memory: () => peer.ask({ ask: "memory" }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export async function openWorkerSessions(
  ground: Ground,
  size: number,
  nodeArgs: string[],
): Promise<OpenSessions> {
  await using stack = new AsyncDisposableStack();
  stack.defer(() => untilClosed(ground));
  const base = await idleBase(ground);
  const database = stack.use(await openTestDatabase({ server: ground.postgres }));
  await seedLinkedNumbers({
    platformUrl: database.urls.platform,
    workerUrl: database.urls.worker,
    keyring: database.keyring,
    simulatorUrl: ground.simulator.httpUrl,
    companies: size,
    firstPhone: takePhones(size),
  });
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  stack.defer(() => client.end());
  await client.query("vacuum analyze");
  const since = await databaseNow(client);
  const worker = await start(ground, { database, size, nodeArgs });
  stack.use(worker.process);
  await untilOpen(client, { since, count: size, deadlineMs: OPEN_DEADLINE_MS });
  const kept = stack.move();
  return {
    pid: worker.process.pid,
    base,
    memory: worker.memory,
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

/** A worker that has found no number at all. */
async function idleBase(ground: Ground): Promise<Memory> {
  await using database = await openTestDatabase({ server: ground.postgres });
  const { process, memory } = await start(ground, { database, size: 1, nodeArgs: [] });
  await using _ = process;
  return await memory();
}

async function start(
  ground: Ground,
  options: {
    database: Awaited<ReturnType<typeof openTestDatabase>>;
    size: number;
    nodeArgs: string[];
  },
) {
  const file = join(ground.folder, "memory.json");
  const { process } = await ground.startWorker({
    name: "worker",
    database: options.database,
    nodeArgs: ["--expose-gc", "--import", HOOK, ...options.nodeArgs],
    env: {
      MEMORY_FILE: file,
      OPEN_LIMIT: String(IN_FLIGHT),
      WORKER_CAPACITY: String(Math.max(2_500, options.size)),
    },
  });
  const memory = async (): Promise<Memory> => {
    await rm(file, { force: true });
    process.signal("SIGUSR2");
    return until(
      async () => {
        const text = await readFile(file, "utf8").catch(() => "");
        return text.endsWith("}") ? (JSON.parse(text) as Memory) : undefined;
      },
      { deadlineMs: 30_000, label: "the worker's memory" },
    );
  };
  return { process, memory };
}
