import { EVENTS_STREAM } from "@manyline/contracts";
import { createKeyring, EventRelay, openDatabase, parseKeks } from "@manyline/db";
import type { Database, Keyring } from "@manyline/db";
import { type MediaStore, openMediaStore } from "@manyline/media";
import { addressGuard, createBus, createClock } from "@manyline/runtime";
import type { Bus, Clock, Logger } from "@manyline/runtime";
import { type App, companyApps, type CompanyApps } from "./apps.ts";
import type { Config } from "./config.ts";
import { flowDesks, type FlowDesks } from "./flows/desks.ts";
import { FlowAsker } from "./flows/handlers.ts";
import { Ingestor } from "./ingestor.ts";
import { JournalReader } from "./journal-reader.ts";
import { Replayer } from "./replayer.ts";
import { createReports, type Reports } from "./reports.ts";
import { WppFiles } from "./wpp/files.ts";
import { WppIngestor } from "./wpp/ingestor.ts";

export type Deps = {
  readonly config: Config;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly db: Database;
  readonly relayDb: Database;
  readonly keyring: Keyring;
  readonly bus: Bus;
  readonly relay: EventRelay;
  readonly reports: Reports;
  /** Undefined: only companies with an app of their own get webhooks. */
  readonly sharedApp: App | undefined;
  readonly apps: CompanyApps;
  readonly desks: FlowDesks;
  readonly asker: FlowAsker;
  readonly ingestor: Ingestor;
  readonly journalReader: JournalReader;
  readonly replayer: Replayer;
  readonly store: MediaStore;
  readonly wppFiles: WppFiles;
  readonly wpp: WppIngestor;
};

/** A webhook should be answered within a second; whoever sent it gives up after five or more. */
const STATEMENT_MS = 4_000;

/** Opens everything lazily: nothing here waits for, or fails without, a server. */
export function buildDeps(config: Config, logger: Logger, overrides: Partial<Deps> = {}): Deps {
  const clock = overrides.clock ?? createClock();
  const reports = overrides.reports ?? createReports(logger);
  const bus =
    overrides.bus ?? createBus({ servers: config.natsUrls, name: "webhook-ingest", logger });
  const db =
    overrides.db ??
    openDatabase({
      url: config.databases.ingest,
      role: "ingest",
      applicationName: "webhook-ingest",
      // Commits, the journal with its reader, and whatever a request asks.
      poolSize: config.batch.lanes + 4,
      statementTimeoutMs: STATEMENT_MS,
    });
  const relayDb =
    overrides.relayDb ??
    openDatabase({
      url: config.databases.relay,
      role: "relay",
      applicationName: "webhook-ingest-relay",
      poolSize: 2,
    });
  const keyring = overrides.keyring ?? createKeyring({ keks: parseKeks(config.keks) });
  const relay = overrides.relay ?? createRelay(relayDb, bus, logger);
  const apps = overrides.apps ?? companyApps({ db, keyring, clock });
  const desks = overrides.desks ?? flowDesks({ db, keyring, clock });
  const { handlerMs: timeoutMs, openAddresses } = config.flows;
  const guard = addressGuard(openAddresses);
  const asker = overrides.asker ?? new FlowAsker({ bus, clock, guard, timeoutMs });
  const ingestor =
    overrides.ingestor ?? new Ingestor({ db, keyring, relay, clock, reports, ...config.batch });
  const journalReader =
    overrides.journalReader ?? new JournalReader({ db, ingestor, clock, logger, reports });
  const replayer =
    overrides.replayer ?? new Replayer({ db, ingestor, apps, clock, logger, reports });
  const { appSecrets: secrets, verifyToken } = config.meta;
  const sharedApp = secrets.length === 0 ? undefined : { secrets, verifyToken, company: undefined };
  const store = overrides.store ?? openMediaStore(config.wpp.store);
  const wppFiles = overrides.wppFiles ?? new WppFiles(store, config.wpp.fileBytes, logger);
  const wpp =
    overrides.wpp ?? new WppIngestor({ db, keyring, relay, bus, clock, reports, ...config.batch });
  const shared = { config, logger, clock, reports, bus, sharedApp };
  return {
    ...shared,
    db,
    relayDb,
    keyring,
    relay,
    apps,
    desks,
    asker,
    ingestor,
    journalReader,
    replayer,
    store,
    wppFiles,
    wpp,
  };
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
