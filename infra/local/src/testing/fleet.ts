/**
 * Several real session-workers and one gateway around a Postgres, a NATS, a Redis and a simulated WhatsApp of
 * their own, with numbers that are already linked: for tests and benches of ownership.
 */
import { randomBytes } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openTestDatabase, TEST_KEKS, type OpenTestDatabase } from "@manyline/db/testing";
import {
  muteLibsignal,
  startWhatsAppSimulator,
  type WhatsAppSimulator,
} from "@manyline/simulators";
import {
  freePort,
  startNats,
  startPostgres,
  startRedis,
  type NatsServer,
  type PostgresServer,
  type ManagedServer,
  type RedisServer,
} from "@manyline/testkit";
import { createProgram, isHealthy } from "../program.ts";
import { FleetWorker } from "./fleet-worker.ts";
import { spreadOverShards } from "./fleet-shards.ts";
import { seedLinkedNumbers, type SeededNumber } from "./seed-linked-numbers.ts";

const ROOT = join(import.meta.dirname, "..", "..", "..", "..");

export type FleetOptions = {
  /** Started by `openFleet`; more by `startWorker`. Default 4. */
  workers?: number;
  /** Default 200. */
  companies?: number;
  /** Linked numbers of each company. Default 1. */
  numbersPerCompany?: number;
  /** Companies per shard; default 5, so that a few hundred companies can be shared out evenly. */
  shardSize?: number;
  /** Folder for the processes' logs, kept afterwards. Without it: a temporary one. */
  logs?: string;
  /** More for every worker: OPEN_LIMIT, LOG_LEVEL, … */
  env?: Readonly<Record<string, string>>;
  /** More for Postgres, as `postgres -c name=value`. */
  postgresSettings?: Readonly<Record<string, string>>;
};

/** Where a simulated WhatsApp is: in this process, or in one of its own. */
export type SimulatedWhatsApp = AsyncDisposable & {
  /** For WA_URL. */
  url: string;
  /** The control API. */
  httpUrl: string;
  rootPublicKey: string;
};

export type RestAnswer = { status: number; body: Record<string, unknown> };

/** Starts everything and resolves when all workers are ready. What was started is stopped after a failure too. */
export async function openFleet(options: FleetOptions = {}): Promise<Fleet> {
  muteLibsignal();
  return openFleetAround(() => startWhatsAppSimulator({ port: 0 }), options);
}

/**
 * The same around a simulated WhatsApp that is started elsewhere.
 * @param start gets the folder of the logs
 */
export async function openFleetAround<Simulator extends SimulatedWhatsApp>(
  start: (folder: string) => Promise<Simulator>,
  options: FleetOptions = {},
): Promise<Fleet<Simulator>> {
  const started = new AsyncDisposableStack();
  const folder = options.logs ?? (await mkdtemp(join(tmpdir(), "manyline-fleet-")));
  if (options.logs === undefined) {
    started.defer(() => rm(folder, { recursive: true, force: true }));
  } else {
    await mkdir(folder, { recursive: true });
  }
  try {
    const settings = { max_connections: "300", ...options.postgresSettings };
    const [postgres, nats, redis] = [
      started.use(await startPostgres({ settings })),
      started.use(await startNats()),
      started.use(await startRedis()),
    ];
    const database = started.use(await openTestDatabase({ server: postgres }));
    const simulator = started.use(await start(folder));
    const seeded = await seedLinkedNumbers({
      platformUrl: database.urls.platform,
      workerUrl: database.urls.worker,
      keyring: database.keyring,
      simulatorUrl: simulator.httpUrl,
      companies: options.companies ?? 200,
      numbersPerCompany: options.numbersPerCompany ?? 1,
    });
    const numbers = await spreadOverShards(database, seeded, options.shardSize ?? 5);
    const parts = { folder, postgres, nats, redis, database, simulator, numbers };
    const fleet = new Fleet(parts, started, options.env ?? {});
    await fleet.startGateway();
    const count = options.workers ?? 4;
    await Promise.all(Array.from({ length: count }, () => fleet.startWorker()));
    return fleet;
  } catch (error) {
    await started.disposeAsync();
    throw error;
  }
}

type Parts<Simulator> = {
  folder: string;
  postgres: PostgresServer;
  nats: NatsServer;
  redis: RedisServer;
  database: OpenTestDatabase;
  simulator: Simulator;
  numbers: SeededNumber[];
};

export class Fleet<
  Simulator extends SimulatedWhatsApp = WhatsAppSimulator,
> implements AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly redis: RedisServer;
  readonly database: OpenTestDatabase;
  readonly simulator: Simulator;
  readonly numbers: readonly SeededNumber[];
  /** Log files, one per process: `w1.log`, `gateway.log`. */
  readonly logs: string;
  readonly adminToken = `fleet-${randomBytes(24).toString("hex")}`;
  gatewayUrl = "";
  #gateway: ManagedServer | undefined;
  /** Every worker there was, by its label; labels are never used again. */
  readonly workers = new Map<string, FleetWorker>();
  readonly #started: AsyncDisposableStack;
  readonly #env: Readonly<Record<string, string>>;

  constructor(
    parts: Parts<Simulator>,
    started: AsyncDisposableStack,
    env: Readonly<Record<string, string>>,
  ) {
    ({
      folder: this.logs,
      postgres: this.postgres,
      nats: this.nats,
      redis: this.redis,
      database: this.database,
      simulator: this.simulator,
      numbers: this.numbers,
    } = parts);
    this.#started = started;
    this.#env = env;
  }

  /** Those that run and were not told to stop. A paused one is among them. */
  get living(): FleetWorker[] {
    return [...this.workers.values()].filter(({ state }) => state !== "ended");
  }

  /**
   * A worker process of its own. Its label is its host (`WORKER_HOST`), the label of its connections at the
   * simulated WhatsApp, and its name in Postgres: so every trace it leaves can be told from the others'.
   */
  async startWorker(options: { generation?: number } = {}): Promise<FleetWorker> {
    const label = `w${this.workers.size + 1}`;
    const { generation = 0 } = options;
    const port = freePort();
    const worker = new FleetWorker(label, generation);
    this.workers.set(label, worker);
    const named = (url: string): string => `${url}?application_name=${label}`;
    const server = createProgram({
      ...this.#common(),
      name: label,
      room: "services/session-worker",
      port: await port,
      isReady: async () => isHealthy(await port),
      env: {
        ...this.#commonEnv(),
        DATABASE_WORKER_URL: named(this.database.urls.worker),
        DATABASE_RELAY_URL: named(this.database.urls.relay),
        WA_URL: `${this.simulator.url}?label=${label}`,
        WA_ROOT_KEY: this.simulator.rootPublicKey,
        HEALTH_PORT: String(await port),
        WORKER_HOST: label,
        WORKER_GENERATION: String(generation),
        ...this.#env,
      },
    });
    this.#started.use(worker);
    await worker.start(server);
    return worker;
  }

  async startGateway(): Promise<void> {
    const port = await freePort();
    this.gatewayUrl = `http://127.0.0.1:${port}`;
    const server = createProgram({
      ...this.#common(),
      name: "gateway",
      room: "services/gateway",
      port,
      isReady: () => isHealthy(port),
      env: {
        ...this.#commonEnv(),
        DATABASE_APP_URL: this.database.urls.app,
        DATABASE_PLATFORM_URL: this.database.urls.platform,
        DATABASE_RELAY_URL: this.database.urls.relay,
        PORT: String(port),
        PUBLIC_URL: this.gatewayUrl,
        ADMIN_TOKEN: this.adminToken,
      },
    });
    this.#started.use(server);
    this.#gateway = server;
    await server.start();
  }

  /** SIGKILL to the gateway, in the middle of whatever it does. `startGatewayAgain` starts it where it was. */
  async killGateway(): Promise<void> {
    await this.#gateway?.kill("SIGKILL");
  }

  async startGatewayAgain(): Promise<void> {
    await this.#gateway?.start();
  }

  /** A request with the operator's token. */
  async rest(method: string, path: string, body?: unknown): Promise<RestAnswer> {
    const response = await fetch(`${this.gatewayUrl}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${this.adminToken}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const answer: unknown = await response.json();
    const isObject = typeof answer === "object" && answer !== null;
    return { status: response.status, body: isObject ? { ...answer } : {} };
  }

  /** Everything, by process id: first the workers and the gateway, then the servers they need. */
  async [Symbol.asyncDispose](): Promise<void> {
    const living = this.living.map((worker) => worker.stop());
    await Promise.allSettled(living);
    await this.#started.disposeAsync();
  }

  #common() {
    return { root: ROOT, logs: this.logs, entry: "src/main.ts", hasTelemetry: true };
  }

  #commonEnv(): Record<string, string> {
    return {
      PATH: process.env["PATH"] ?? "",
      NATS_URL: this.nats.url,
      REDIS_URL: this.redis.url,
      MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(","),
    };
  }
}
