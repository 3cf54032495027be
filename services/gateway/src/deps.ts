import { EventRelay, createKeyring, openDatabase, parseKeks } from "@manyline/db";
import type { Database, Keyring } from "@manyline/db";
import { EVENTS_STREAM } from "@manyline/contracts";
import { openMediaStore } from "@manyline/media";
import type { MediaStore } from "@manyline/media";
import { addressGuard, createBus, createClock } from "@manyline/runtime";
import type { AddressGuard, Bus, Clock, Logger } from "@manyline/runtime";
import type { Redis } from "ioredis";
import { CommandRunner } from "./command-runner.ts";
import type { Config } from "./config.ts";
import { JobRunner } from "./jobs/job-runner.ts";
import { LocalCounter, RequestLimiter, SharedCounter } from "./limits.ts";
import { connectRedis } from "./redis.ts";
import { createReports } from "./reports.ts";
import type { Reports } from "./reports.ts";
import { MediaIntake } from "./sends/media-intake.ts";
import { StreamHub } from "./streams/stream-hub.ts";

/** Everything a route may use. */
export type Deps = {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  /** Role app: one company a transaction. */
  readonly appDb: Database;
  /** Role platform: the operator's routes, and finding a company by its token or outer id. */
  readonly platformDb: Database;
  readonly relayDb: Database;
  readonly keyring: Keyring;
  readonly bus: Bus;
  readonly redis: Redis | undefined;
  readonly relay: EventRelay;
  readonly limiter: RequestLimiter;
  readonly commands: CommandRunner;
  readonly jobs: JobRunner;
  readonly streams: StreamHub;
  readonly reports: Reports;
  /** Where the bytes of files are. */
  readonly media: MediaStore;
  readonly intake: MediaIntake;
  /** Where a company's handler of flows and its webhooks may be. */
  readonly handlerGuard: AddressGuard;
};

/** Opens everything lazily: nothing here waits for, or fails without, a server. */
export function buildDeps(config: Config, logger: Logger, overrides: Partial<Deps> = {}): Deps {
  const clock = overrides.clock ?? createClock({ timeScale: config.timeScale });
  const reports = overrides.reports ?? createReports(logger);
  const bus =
    overrides.bus ?? createBus({ servers: config.natsUrls, name: "manyline-gateway", logger });
  const redis =
    overrides.redis ??
    (config.redisUrl === undefined ? undefined : connectRedis(config.redisUrl, logger));
  const counter = redis ? new SharedCounter(redis, clock) : new LocalCounter(clock);
  const open = (role: "app" | "platform" | "relay", poolSize: number): Database =>
    openDatabase({
      url: config.databases[role],
      role,
      applicationName: "manyline-gateway",
      poolSize,
    });
  const appDb = overrides.appDb ?? open("app", 20);
  const media = overrides.media ?? openMediaStore(config.media.store);
  const relayDb = overrides.relayDb ?? open("relay", 2);
  const platformDb = overrides.platformDb ?? open("platform", 10);
  return {
    media,
    handlerGuard: overrides.handlerGuard ?? addressGuard(config.handlerOpenAddresses),
    intake: overrides.intake ?? new MediaIntake(media, addressGuard(config.media.openAddresses)),
    config,
    logger,
    clock,
    reports,
    bus,
    redis,
    appDb,
    relayDb,
    platformDb,
    keyring: overrides.keyring ?? createKeyring({ keks: parseKeks(config.keks) }),
    relay: overrides.relay ?? new EventRelay({ db: relayDb, publisher: publisherOn(bus), logger }),
    limiter: overrides.limiter ?? new RequestLimiter(counter, config.limits, clock),
    commands: overrides.commands ?? new CommandRunner({ bus, db: appDb, clock, reports }),
    jobs: overrides.jobs ?? new JobRunner({ db: platformDb, bus, clock, logger, reports }),
    streams: overrides.streams ?? new StreamHub({ bus, perToken: config.limits.streamsPerToken }),
  };
}

function publisherOn(bus: Bus): ConstructorParameters<typeof EventRelay>[0]["publisher"] {
  return {
    publish: async (subject, bytes, msgId) => {
      const { seq } = await bus.publish(subject, bytes, { msgId });
      return { seq };
    },
    streamState: async () => {
      const { incarnation, lastSeq } = await bus.streamState(EVENTS_STREAM);
      return { incarnation, lastSeq };
    },
  };
}
