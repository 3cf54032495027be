/**
 * A worker in its surroundings, all of it real: Postgres, NATS, Redis, the simulated WhatsApp, and the
 * worker as a process of its own. The test plays the gateway at the place where the two meet: the database.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { createWriteStream } from "node:fs";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  newCommandId,
  newNumberId,
  shardPoke,
  type CommandVerb,
  type Envelope,
} from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  enqueueCommand,
  getCommand,
  inTransaction,
  liveAttempt,
  listEvents,
  openDatabase,
  readAttemptSecret,
  readStatus,
  updateCompany,
  updateNumber,
  watchPairing,
  withCompany,
  type CommandRow,
  type CompanyPatch,
  type CompanyRow,
  type Database,
  type NumberPatch,
  type NumberRow,
  type StatusRow,
} from "@manyline/db";
import {
  asSuperuser,
  openTestDatabase,
  TEST_KEKS,
  type OpenTestDatabase,
} from "@manyline/db/testing";
import { openMediaStore } from "@manyline/media";
import { createBus, createSilentLogger, type Bus } from "@manyline/runtime";
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
  until,
  type NatsServer,
  type PostgresServer,
  type RedisServer,
} from "@manyline/testkit";

import { startPostgresProxy } from "./postgres-proxy.ts";

const SERVICE = new URL("..", import.meta.url).pathname;
let serial = 0;

export type RoomOptions = {
  timeScale?: number;
  /** Its own Postgres, to be stopped and started. */
  ownPostgres?: boolean;
  /** The workers reach Postgres by way of a proxy that can lose answers. */
  proxiedPostgres?: boolean;
  env?: Record<string, string>;
};

export type Room = Awaited<ReturnType<typeof openRoom>>;

export async function openRoom(options: RoomOptions = {}) {
  muteLibsignal();
  const timeScale = options.timeScale ?? 1;
  const dir = await mkdtemp(join(tmpdir(), "manyline-worker-"));
  const postgres: PostgresServer | undefined = options.ownPostgres
    ? await startPostgres()
    : undefined;
  const [database, nats, redis, simulator] = await Promise.all([
    openTestDatabase(postgres ? { server: postgres } : {}),
    startNats(),
    startRedis(),
    startWhatsAppSimulator({ port: 0, speed: timeScale }),
  ]);
  const proxy = options.proxiedPostgres
    ? await startPostgresProxy(database.urls.worker)
    : undefined;
  const env = {
    ...(proxy ? { DATABASE_WORKER_URL: proxy.urlFor(database.urls.worker) } : {}),
    ...options.env,
  };
  const platform = openDatabase({ url: database.urls.platform, applicationName: "test" });
  const app = openDatabase({ url: database.urls.app, applicationName: "test" });
  const bus = createBus({ servers: [nats.url], name: "test", logger: createSilentLogger() });
  const log = join(dir, "worker.log");
  const media = join(dir, "media");
  const others: ChildProcess[] = [];
  const parts = { database, nats, redis, simulator, timeScale, log, media, env };

  async function close(worker?: ChildProcess): Promise<void> {
    for (const child of others) {
      child.kill("SIGCONT");
      await killWorker(child);
    }
    if (worker) await stopWorker(worker);
    await bus.close();
    await Promise.all([platform.stop(), app.stop()]);
    await simulator.close();
    await proxy?.close();
    await database.stop();
    await Promise.all([nats, redis, ...(postgres ? [postgres] : [])].map((one) => one.stop()));
    await rm(dir, { recursive: true, force: true });
  }

  const first = await startWorker(parts).catch(async (error: unknown) => {
    // What is left running would keep the test's process alive.
    await close();
    throw error;
  });
  const room = {
    postgres,
    proxy,
    database,
    nats,
    redis,
    simulator,
    platform,
    app,
    bus,
    log,
    /** Where the worker finds and puts files. */
    media: openMediaStore(media),
    worker: first,
    startWorker: async () => {
      room.worker = await startWorker(parts);
    },
    /** One more worker beside the first. */
    spawn: async (more: Record<string, string> = {}) => {
      const child = await startWorker({ ...parts, env: { ...env, ...more } });
      others.push(child);
      return child;
    },
    company: () => addCompany(platform, database),
    number: (company: CompanyRow, phone: string | null = null) =>
      addNumber(platform, company, phone),
    command: (number: NumberRow, verb: CommandVerb, args: Record<string, unknown> = {}) =>
      runCommand(app, bus, number, verb, args),
    watch: (number: NumberRow) =>
      withCompany(app, number.companyNo, (tx) =>
        watchPairing(tx, number.companyNo, number.numberNo, 30_000),
      ),
    status: (number: NumberRow) => statusOf(app, number),
    secret: (number: NumberRow) => secretOf(app, database, number),
    events: (number: NumberRow) => eventsOf(app, number),
    /** A person's changes, told to the owner as the gateway does. */
    changeCompany: async (number: NumberRow, patch: CompanyPatch) => {
      await inTransaction(platform, (tx) => updateCompany(tx, number.companyNo, patch));
      bus.poke(shardPoke(number.shardId));
    },
    changeNumber: async (number: NumberRow, patch: NumberPatch) => {
      const { companyNo, numberNo, shardId } = number;
      await withCompany(app, companyNo, (tx) => updateNumber(tx, companyNo, numberNo, patch));
      bus.poke(shardPoke(shardId));
    },
    superuser: <Row>(statement: string) => asSuperuser<Row>(database, statement),
    phone: () => nextPhone(),
    close: () => close(room.worker),
  };
  return room;
}

/** A phone number no other test uses. */
export function nextPhone(): string {
  serial += 1;
  return `7900${String(1_000_000 + serial + Math.floor(Math.random() * 1_000_000) * 7).slice(-7)}`;
}

async function startWorker(parts: {
  database: OpenTestDatabase;
  nats: NatsServer;
  redis: RedisServer;
  simulator: WhatsAppSimulator;
  timeScale: number;
  log: string;
  media: string;
  env: Record<string, string | undefined>;
}): Promise<ChildProcess> {
  const healthPort = await freePort();
  const child = spawn(
    process.execPath,
    ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
    {
      cwd: SERVICE,
      env: {
        PATH: process.env["PATH"],
        DATABASE_WORKER_URL: parts.database.urls.worker,
        DATABASE_RELAY_URL: parts.database.urls.relay,
        NATS_URL: parts.nats.url,
        REDIS_URL: parts.redis.url,
        MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(","),
        WA_URL: parts.simulator.url,
        WA_ROOT_KEY: parts.simulator.rootPublicKey,
        HEALTH_PORT: String(healthPort),
        TIME_SCALE: String(parts.timeScale),
        MEDIA_STORE: parts.media,
        RECONNECT_BASE_MS: "100",
        RECONNECT_CAP_MS: "1000",
        ...parts.env,
      },
      stdio: ["ignore", "pipe", "pipe"],
    },
  );
  const file = createWriteStream(parts.log, { flags: "a" });
  child.stdout.pipe(file, { end: false });
  child.stderr.pipe(file, { end: false });
  await until(
    async () =>
      child.exitCode !== null || (await fetch(`http://127.0.0.1:${healthPort}/health/ready`)).ok,
    { label: "worker ready", deadlineMs: 60_000 },
  ).catch(async (error: unknown) => {
    await killWorker(child);
    throw error;
  });
  if (child.exitCode !== null)
    throw new Error(`the worker ended with ${child.exitCode}, see ${parts.log}`);
  return child;
}

/** SIGTERM, and waits for the end. */
export async function stopWorker(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGTERM");
  await ended;
}

/** SIGKILL, in the middle of whatever it does. */
export async function killWorker(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, "exit");
  child.kill("SIGKILL");
  await ended;
}

async function addCompany(db: Database, database: OpenTestDatabase): Promise<CompanyRow> {
  const place = (serial += 1);
  return inTransaction(db, (tx) =>
    createCompany(tx, database.keyring, {
      companyId: `c${place}`,
      name: `Company ${place}`,
      country: "RU",
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "UTC",
      language: "en",
      whatsappEnabled: true,
      whatsappConfig: {},
    }),
  );
}

async function addNumber(
  db: Database,
  company: CompanyRow,
  phone: string | null,
): Promise<NumberRow> {
  return inTransaction(db, (tx) =>
    createNumber(tx, company.companyNo, {
      numberId: newNumberId(),
      provider: "linked",
      phone,
      name: null,
      maxNumbers: 500,
    }),
  );
}

async function runCommand(
  db: Database,
  bus: Bus,
  number: NumberRow,
  verb: CommandVerb,
  args: Record<string, unknown>,
): Promise<CommandRow> {
  const commandId = newCommandId();
  // A worker that has just started claims the shard of a new company within a tick.
  await until(async () => (await statusOf(db, number)).hasOwner, {
    label: "an owner",
    deadlineMs: 15_000,
  });
  const { companyNo, numberNo } = number;
  const { shardId } = await withCompany(db, companyNo, (tx) =>
    enqueueCommand(tx, { commandId, companyNo, numberNo, verb, args, deadlineMs: 25_000 }),
  );
  bus.poke(shardPoke(shardId));
  return until(
    async () => {
      const row = await withCompany(db, companyNo, (tx) => getCommand(tx, commandId));
      return row && row.state !== "queued" && row.state !== "claimed" ? row : undefined;
    },
    { label: `the result of ${verb}`, deadlineMs: 26_000 },
  );
}

async function statusOf(db: Database, number: NumberRow): Promise<StatusRow> {
  const { companyNo, numberNo } = number;
  const row = await withCompany(db, companyNo, (tx) => readStatus(tx, companyNo, numberNo));
  if (!row) throw new Error("no such number");
  return row;
}

async function secretOf(
  db: Database,
  database: OpenTestDatabase,
  number: NumberRow,
): Promise<string | undefined> {
  const { companyNo, numberNo } = number;
  return withCompany(db, companyNo, async (tx) => {
    const attempt = await liveAttempt(tx, companyNo, numberNo);
    if (!attempt) return undefined;
    const secret = await readAttemptSecret(tx, database.keyring, companyNo, attempt.attemptId);
    return secret?.value;
  });
}

async function eventsOf(
  db: Database,
  number: NumberRow,
): Promise<Envelope<Record<string, unknown>>[]> {
  const { companyNo, numberNo } = number;
  const stored = await withCompany(db, companyNo, (tx) =>
    listEvents(tx, { companyNo, numberNo, limit: 1_000 }),
  );
  return stored.map((one) => one.envelope as Envelope<Record<string, unknown>>);
}
