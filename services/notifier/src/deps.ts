import { EVENTS_STREAM } from "@manyline/contracts";
import { createKeyring, EventRelay, openDatabase, parseKeks } from "@manyline/db";
import type { Database, Keyring } from "@manyline/db";
import { addressGuard, createBus, createClock, KeptConnections } from "@manyline/runtime";
import type { Bus, Clock, Logger } from "@manyline/runtime";
import type { Config } from "./config.ts";
import { createReports, type Reports } from "./reports.ts";
import { Notices } from "./notices/index.ts";
import { DirectCodes } from "./webhooks/direct.ts";
import { Endpoints } from "./webhooks/endpoints.ts";
import { Intake } from "./webhooks/intake.ts";
import { Queues } from "./webhooks/queues.ts";

export type Deps = {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly db: Database;
  readonly relayDb: Database;
  readonly noticesDb: Database;
  readonly keyring: Keyring;
  readonly bus: Bus;
  readonly relay: EventRelay;
  readonly reports: Reports;
  readonly connections: KeptConnections;
  readonly endpoints: Endpoints;
  readonly queues: Queues;
  readonly intake: Intake;
  readonly codes: DirectCodes;
  readonly notices: Notices;
};

const POOL = 8;
/** Of their own, so that a backlog of webhooks does not keep a code waiting. */
const NOTICES_POOL = 4;
/** To customers' endpoints. */
const IDLE_CONNECTIONS = 500;

/** Opens everything lazily: nothing here waits for, or fails without, a server. */
export function buildDeps(config: Config, logger: Logger, overrides: Partial<Deps> = {}): Deps {
  const clock = overrides.clock ?? createClock();
  const reports = overrides.reports ?? createReports(logger);
  const bus = overrides.bus ?? createBus({ servers: config.natsUrls, name: "notifier", logger });
  const db =
    overrides.db ??
    openDatabase({
      url: config.databases.notify,
      role: "notify",
      applicationName: "notifier",
      poolSize: POOL,
    });
  const noticesDb =
    overrides.noticesDb ??
    openDatabase({
      url: config.databases.notify,
      role: "notify",
      applicationName: "notifier-notices",
      poolSize: NOTICES_POOL,
    });
  const relayDb =
    overrides.relayDb ??
    openDatabase({
      url: config.databases.relay,
      role: "relay",
      applicationName: "notifier-relay",
      poolSize: 2,
    });
  const keyring = overrides.keyring ?? createKeyring({ keks: parseKeks(config.keks) });
  const relay = overrides.relay ?? createRelay(relayDb, bus, logger);
  const { openAddresses, timeoutMs, sends, sweepMs } = config.webhooks;
  const guard = addressGuard(openAddresses);
  const connections = overrides.connections ?? new KeptConnections({ most: IDLE_CONNECTIONS });
  const calls = { keyring, clock, guard, connections, relay, reports, timeoutMs };
  const endpoints = overrides.endpoints ?? new Endpoints({ db, ...calls });
  const queues =
    overrides.queues ?? new Queues({ db, endpoints, reports, sends, sweepMs, timeoutMs });
  const intake = overrides.intake ?? new Intake({ bus, db, queues, reports, clock });
  const codes =
    overrides.codes ??
    new DirectCodes({
      db: noticesDb,
      endpoints: new Endpoints({ db: noticesDb, ...calls }),
      clock,
      reports,
    });
  const notices =
    overrides.notices ??
    new Notices({ config: config.notices, bus, db: noticesDb, keyring, logger });
  const shared = { config, logger, clock, reports, bus, db, relayDb, noticesDb, keyring, relay };
  return { ...shared, connections, endpoints, queues, intake, codes, notices };
}

function createRelay(db: Database, bus: Bus, logger: Logger): EventRelay {
  return new EventRelay({
    db,
    logger,
    publisher: {
      publish: (subject, bytes, msgId) => bus.publish(subject, bytes, { msgId }),
      streamState: () => bus.streamState(EVENTS_STREAM),
    },
  });
}
