/** Builds the worker from its configuration and ties its parts to the process's life. */
import { EVENTS_MAX_AGE_MS, EVENTS_STREAM, PAIRING, streamSubjects } from "@manyline/contracts";
import { assertSchema, createKeyring, EventRelay, openDatabase, parseKeks } from "@manyline/db";
import { openMediaStore } from "@manyline/media";
import {
  createBus,
  createClock,
  createHealth,
  createMetrics,
  metricsText,
  registerProcessMetrics,
  startHealthServer,
  type Bus,
  type Clock,
  type Logger,
  type ServiceScope,
} from "@manyline/runtime";
import { Redis } from "ioredis";
import type { Config } from "./config.ts";
import { PACE } from "./domain/pace.ts";
import { createFileSource } from "./files.ts";
import { Housekeeper } from "./housekeeping.ts";
import type { WorkerContext } from "./numbers/context.ts";
import { FleetGate } from "./numbers/fleet-gate.ts";
import { createInboundCommits } from "./numbers/inbound-commits.ts";
import { createOpener, type Opener } from "./numbers/opener.ts";
import { createResultCommits } from "./numbers/result-commits.ts";
import { createSeedCopies } from "./numbers/seed-copies.ts";
import { createStatusCommits } from "./numbers/status-commits.ts";
import { reportOpening } from "./ownership/opening-progress.ts";
import { createOwnership, type Ownership } from "./ownership/ownership.ts";
import { createAuthStore } from "./providers/linked/auth-store.ts";
import { versionEnd } from "./domain/graph-errors.ts";
import { providersByKind } from "./providers/by-kind.ts";
import { createLinkedProvider } from "./providers/linked/index.ts";
import { createWppProvider } from "./providers/wpp/index.ts";
import { createMetaProvider, createMetaStore, Graph } from "./providers/meta/index.ts";
import { prepareProcess } from "./providers/linked/process-setup.ts";
import { createSharedCaches } from "./providers/linked/shared-caches.ts";
import { startReclaim } from "./reclaim.ts";
import { wppParts } from "./wpp-parts.ts";
import { createReports } from "./reports.ts";

/** Longest random pause before an opening that is one of many. */
const OPEN_JITTER_MS = 50;
const QUERY_TIMEOUT_MS = 10_000;

/** Starts everything; `scope` stops it in reverse order. */
export async function startWorker(
  config: Config,
  /** Who this worker is to operators. */
  identity: { host: string; version: string },
  logger: Logger,
  scope: ServiceScope,
): Promise<void> {
  const clock = createClock({ timeScale: config.timeScale });
  const keyring = createKeyring({ keks: parseKeks(config.keks) });
  prepareProcess(
    config.waUrl === undefined || config.waRootKey === undefined
      ? undefined
      : { url: config.waUrl, rootKey: Buffer.from(config.waRootKey, "hex") },
  );

  const db = openDatabase({ url: config.databaseUrl, applicationName: "session-worker" });
  scope.defer("db", () => db.stop());
  const leaseDb = openDatabase({
    url: config.databaseUrl,
    applicationName: "session-worker-leases",
    poolSize: 1,
    statementTimeoutMs: 2_000,
  });
  scope.defer("lease db", () => leaseDb.stop());
  const relayDb = openDatabase({
    url: config.relayUrl,
    applicationName: "session-worker-relay",
    poolSize: 2,
  });
  scope.defer("relay db", () => relayDb.stop());

  const redis = connectRedis(config.redisUrl, logger);
  scope.defer("redis", () => redis?.disconnect());
  const bus = createBus({ servers: config.natsUrls, name: "session-worker", logger });
  scope.defer("nats", () => bus.close());
  bus.declareStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: EVENTS_MAX_AGE_MS,
    maxBytes: -1,
    replicas: config.natsReplicas,
  });

  const relay = createRelay(relayDb, bus, logger);
  relay.start();
  scope.defer("relay", () => relay.stop());
  const endRelayStatus = bus.onStatus((status) => {
    if (status.connected) void relay.onReconnect();
  });
  scope.defer("relay status", endRelayStatus);

  const media = openMediaStore(config.media);
  const caches = createSharedCaches();
  scope.defer("caches", () => caches.close());
  const authStore = createAuthStore(db, keyring);
  scope.defer("reclaim", startReclaim(clock, authStore.cache, caches));
  const linked = createLinkedProvider(
    authStore,
    createFileSource(db, media),
    {
      url: config.waUrl,
      version: versionOf(config.waVersion),
      deviceName: config.deviceName,
      watchdogMs: config.watchdogMs,
      keepAliveMs: config.keepAliveMs,
      queryTimeoutMs: QUERY_TIMEOUT_MS,
    },
    caches,
  );
  const graph = new Graph({
    url: config.graphUrl.replace(/\/+$/, ""),
    version: config.graphVersion,
    timeoutMs: QUERY_TIMEOUT_MS,
  });
  warnOfVersion(config.graphVersion, clock, logger);
  const provider = providersByKind(linked, {
    meta: createMetaProvider({
      graph,
      store: createMetaStore(db, keyring, {
        relay,
        ...(config.graphProof ? { proof: { sharedSecret: config.metaAppSecret } } : {}),
      }),
      files: createFileSource(db, media),
      logger,
    }),
    wpp: createWppProvider(wppParts(config, { db, keyring, media, logger })),
  });

  const opener = createOpener(clock, config.openLimit, OPEN_JITTER_MS);
  const ownership = createOwnership({
    db,
    leaseDb,
    bus,
    clock,
    logger,
    identity: {
      ...identity,
      generation: config.generation,
      capacity: config.capacity,
    },
    context: (ports) => ({
      ...ports,
      db,
      keyring,
      relay,
      bus,
      provider,
      media,
      clock,
      logger,
      reports: createReports(logger),
      opener,
      gate: new FleetGate(),
      copies: createSeedCopies(redis, logger),
      statusCommits: createStatusCommits(db, relay),
      inboundCommits: createInboundCommits(db, keyring),
      resultCommits: createResultCommits(db),
      ...figures(clock),
      pace: {
        ...PACE,
        perSecond: config.sendsPerSecond,
        burst: config.sendBurst,
        firstContactsPerDay: config.firstContacts,
      },
      recycling: { lifeMs: config.recycleAfterMs, silenceMs: config.silenceMs },
      backoff: { baseMs: config.reconnectBaseMs, capMs: config.reconnectCapMs },
      phonePepper: keyring.pepper,
    }),
  });
  const { leases, fleet, handOver } = ownership;

  const housekeeper = new Housekeeper({
    db,
    media,
    logger,
    workerId: leases.workerId,
    eventDays: config.eventDays,
  });
  const health = createHealth({
    checks: {
      postgres: () => db.ping(),
      // In a rollout the old workers stay until this one can really take over.
      schema: () => assertSchema(db),
      leases: () => {
        if (leases.isQuiet) throw new Error("no lease could be renewed yet, or for too long");
      },
    },
    onChange: (name, state) =>
      logger.warn({ event: "health.changed", check: name, state }, "health"),
  });
  const server = await startHealthServer({
    port: config.port,
    host: config.host,
    health,
    metricsText,
  });
  scope.defer("health server", () => server.close());
  scope.defer("metrics", registerGauges(ownership, opener));

  housekeeper.start();
  scope.defer("housekeeping", () => housekeeper.stop());
  leases.start();
  fleet.start();
  scope.defer("progress", reportOpening(fleet, clock, logger));
  // Order: take no more work, hand the numbers over, let go of the rest, then give the shards back.
  scope.defer("leases", () => leases.stop());
  scope.defer("numbers", () => fleet.stop());
  scope.defer(
    "hand-over",
    async () => {
      await handOver.giveAll();
    },
    { timeoutMs: config.drainMs },
  );
  scope.defer("draining", async () => {
    health.markStopping();
    await leases.drain();
  });
  logger.info(
    { event: "worker.started", worker: leases.workerId, health_port: server.port },
    "worker started",
  );
}

/** Pairing times and limits, scaled. */
function figures(clock: Clock): Pick<WorkerContext, "pairing" | "limits"> {
  return {
    pairing: {
      qrLifeMs: PAIRING.qrLifeMs.map((ms) => clock.scaled(ms)),
      maxQr: PAIRING.maxQr,
      codeValidityMs: clock.scaled(PAIRING.codeValidityMs),
      codeGraceMs: clock.scaled(PAIRING.codeGraceMs),
      linkingMs: clock.scaled(PAIRING.linkingMs),
      unwatchedMs: clock.scaled(PAIRING.unwatchedMs),
      maxDrops: 5,
    },
    limits: {
      perHour: PAIRING.codesPerHour,
      windowMs: clock.scaled(PAIRING.windowMs),
      cooldownMs: clock.scaled(PAIRING.cooldownMs),
    },
  };
}

function warnOfVersion(version: string, clock: Clock, logger: Logger): void {
  const end = versionEnd(version, clock.now());
  if (!end) return;
  const fields = { event: "graph.version_ends", version, ends: end.toISOString() };
  logger.warn(fields, "this version of the Graph API ends or has ended: set GRAPH_VERSION");
}

function createRelay(db: ReturnType<typeof openDatabase>, bus: Bus, logger: Logger): EventRelay {
  return new EventRelay({
    db,
    logger,
    publisher: {
      publish: (subject, bytes, msgId) => bus.publish(subject, bytes, { msgId }),
      streamState: () => bus.streamState(EVENTS_STREAM),
    },
  });
}

/** Redis may be away for as long as it likes: nothing waits for it and nothing is queued for it. */
function connectRedis(url: string | undefined, logger: Logger): Redis | undefined {
  if (url === undefined) return undefined;
  const redis = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    retryStrategy: (tries) => Math.min(5_000, tries * 200),
  });
  redis.on("error", (error) => logger.debug({ event: "redis.error", err: error }, "redis"));
  return redis;
}

function registerGauges({ fleet, leases }: Ownership, opener: Opener): () => void {
  const metrics = createMetrics("session-worker");
  const ends = [
    registerProcessMetrics(),
    metrics.gauge("manyline_worker_numbers", { description: "numbers owned" }, () => fleet.size),
    metrics.gauge(
      "manyline_worker_connected",
      { description: "numbers connected" },
      () => fleet.openCount,
    ),
    metrics.gauge(
      "manyline_worker_shards",
      { description: "shards owned" },
      () => leases.shards.size,
    ),
    metrics.gauge(
      "manyline_worker_opening",
      { description: "connections being opened" },
      () => opener.inFlight,
    ),
    metrics.gauge(
      "manyline_worker_opening_waiting",
      { description: "connections waiting to be opened" },
      () => opener.waiting,
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}

function versionOf(text: string | undefined): [number, number, number] | undefined {
  const [major, minor, build] = (text ?? "").split(".").map(Number);
  return major === undefined || minor === undefined || build === undefined
    ? undefined
    : [major, minor, build];
}
