/** What every bench stands on: real servers, the simulated WhatsApp as a process, linked numbers. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTestDatabase, TEST_KEKS, type OpenTestDatabase } from "@manyline/db/testing";
import { seedLinkedNumbers, type SeededNumber } from "@manyline/local/testing";
import {
  freePort,
  startNats,
  startPostgres,
  startRedis,
  type NatsServer,
  type PostgresServer,
  type RedisServer,
} from "@manyline/testkit";
import { Client } from "pg";
import { BenchProcess } from "./child-process.ts";
import { startSimulator, type SimulatorProcess } from "./simulator-process.ts";

const SERVICES = join(import.meta.dirname, "../../../services");
const ADMIN_TOKEN = "the-token-of-a-bench-and-of-nobody-else";

export type GroundOptions = {
  /** Numbers, each of a company of its own. */
  numbers: number;
  /** Counts statements; costs a little. */
  countsStatements?: boolean;
};

export type WorkerOptions = {
  /** For its log, its connections at the simulator and its host. */
  name: string;
  /** Default: the seeded one. */
  database?: OpenTestDatabase;
  /** More arguments of Node. */
  nodeArgs?: string[];
  env?: Record<string, string>;
};

export type Ground = AsyncDisposable & {
  folder: string;
  postgres: PostgresServer;
  nats: NatsServer;
  redis: RedisServer;
  simulator: SimulatorProcess;
  database: OpenTestDatabase;
  numbers: SeededNumber[];
  seededInMs: number;
  /** Sees everything; for what a bench reads. */
  client: Client;
  startWorker: (options: WorkerOptions) => Promise<WorkerProcess>;
  startGateway: () => Promise<GatewayProcess>;
};

export type WorkerProcess = { process: BenchProcess; healthUrl: string; name: string };
/** `token`: the operator's, whose requests are not limited. */
export type GatewayProcess = { process: BenchProcess; url: string; token: string };

const KEKS = TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(",");

async function isReady(port: number): Promise<boolean> {
  const response = await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined);
  await response?.arrayBuffer();
  return response?.ok === true;
}

/** Settings of every Postgres that is measured; commits are synchronous, as in production. */
export const POSTGRES = {
  max_connections: "300",
  shared_buffers: "256MB",
  max_wal_size: "4GB",
};

export async function openGround(options: GroundOptions): Promise<Ground> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "manyline-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const counting: Record<string, string> = options.countsStatements
    ? {
        shared_preload_libraries: "pg_stat_statements",
        "pg_stat_statements.track": "top",
        "pg_stat_statements.track_planning": "off",
      }
    : {};
  const postgres = stack.use(
    await startPostgres({ isDurable: true, settings: { ...POSTGRES, ...counting } }),
  );
  const nats = stack.use(await startNats());
  const redis = stack.use(await startRedis());
  const simulator = await startSimulator(folder);
  stack.use(simulator.process);
  const database = stack.use(await openTestDatabase({ server: postgres }));
  const client = new Client({ connectionString: database.superuserUrl });
  await client.connect();
  stack.defer(() => client.end());
  if (options.countsStatements) await client.query("create extension pg_stat_statements");

  const startedAt = performance.now();
  const numbers = await seedLinkedNumbers({
    platformUrl: database.urls.platform,
    workerUrl: database.urls.worker,
    keyring: database.keyring,
    simulatorUrl: simulator.httpUrl,
    companies: options.numbers,
  });
  const seededInMs = performance.now() - startedAt;
  // What the seeding left to do would be counted as the worker's.
  await client.query("vacuum analyze");
  await client.query("checkpoint");

  const workers = new AsyncDisposableStack();
  stack.use(workers);
  const kept = stack.move();
  return {
    folder,
    postgres,
    nats,
    redis,
    simulator,
    database,
    numbers,
    seededInMs,
    client,
    startWorker: async (worker) => {
      const healthPort = await freePort();
      const urls = (worker.database ?? database).urls;
      const { name } = worker;
      const started = await BenchProcess.start({
        name,
        cwd: join(SERVICES, "session-worker"),
        args: [
          // As everything that starts a worker has it.
          "--max-semi-space-size=8",
          ...(worker.nodeArgs ?? []),
          "--import",
          "@manyline/runtime/telemetry",
          "src/main.ts",
        ],
        logFile: join(folder, `${name}.log`),
        env: {
          DATABASE_WORKER_URL: urls.worker,
          DATABASE_RELAY_URL: urls.relay,
          NATS_URL: nats.url,
          REDIS_URL: redis.url,
          MANYLINE_KEK: KEKS,
          MEDIA_STORE: join(folder, "media"),
          WA_URL: `${simulator.url}?label=${name}`,
          WA_ROOT_KEY: simulator.rootKey,
          HEALTH_PORT: String(healthPort),
          WORKER_HOST: name,
          ...worker.env,
        },
        isReady: () => isReady(healthPort),
      });
      workers.use(started);
      return { process: started, healthUrl: `http://127.0.0.1:${healthPort}`, name };
    },
    startGateway: async () => {
      const port = await freePort();
      const url = `http://127.0.0.1:${port}`;
      const started = await BenchProcess.start({
        name: "gateway",
        cwd: join(SERVICES, "gateway"),
        args: ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
        logFile: join(folder, "gateway.log"),
        env: {
          DATABASE_APP_URL: database.urls.app,
          DATABASE_PLATFORM_URL: database.urls.platform,
          DATABASE_RELAY_URL: database.urls.relay,
          NATS_URL: nats.url,
          REDIS_URL: redis.url,
          MANYLINE_KEK: KEKS,
          MEDIA_STORE: join(folder, "media"),
          ADMIN_TOKEN,
          PUBLIC_URL: url,
          PORT: String(port),
        },
        isReady: () => isReady(port),
      });
      workers.use(started);
      return { process: started, url, token: ADMIN_TOKEN };
    },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}
