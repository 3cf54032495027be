import type { DbRole } from "@manyline/db";
import { roleUrl } from "@manyline/db";
import type { Secrets } from "./secrets.ts";
import type { Settings } from "./settings.ts";

/** Where the servers are that are running by now. */
export type ServerUrls = { owner: string; nats: string; redis: string };

/** How the worker reaches the simulated WhatsApp; undefined = the real one. */
export type SimulatorAddress = { waUrl: string; waRootKey: string };

export type Environments = {
  migrate: NodeJS.ProcessEnv;
  gateway: NodeJS.ProcessEnv;
  sessionWorker: NodeJS.ProcessEnv;
  webhookIngest: NodeJS.ProcessEnv;
  notifier: NodeJS.ProcessEnv;
};

/** Only what belongs to a process is handed to it: these never pass from our environment by accident. */
const NOT_INHERITED = new Set([
  "ADMIN_TOKEN",
  "DATABASE_URL",
  "GRAPH_URL",
  "DATABASE_OWNER_URL",
  "MANYLINE_DB_PASSWORDS",
  "MANYLINE_DATA",
  "MANYLINE_ROOT",
  "MEDIA_STORE",
  "META_APP_SECRET",
  "META_VERIFY_TOKEN",
  "NODE_CHANNEL_FD",
  "NODE_OPTIONS",
  "PORT",
  "WA_ROOT_KEY",
  "WA_URL",
]);

/** The environment of each process. Everything else (LOG_LEVEL, TIME_SCALE, OTEL_*, …) passes through. */
export function environments(input: {
  base: NodeJS.ProcessEnv;
  settings: Settings;
  secrets: Secrets;
  urls: ServerUrls;
  /** undefined = the real WhatsApp. */
  simulator: SimulatorAddress | undefined;
  consoleDir: string;
  /** A folder, or an `s3://` address with its secret. */
  mediaStore: string;
}): Environments {
  const { settings, secrets, urls, simulator } = input;
  const passed = Object.entries(input.base).filter(
    ([name]) => !NOT_INHERITED.has(name) && !name.startsWith("npm_"),
  );
  const base: NodeJS.ProcessEnv = Object.fromEntries(passed);
  const urlOf = (role: DbRole): string =>
    roleUrl(urls.owner, role, secrets.databasePasswords[role]);
  const common: NodeJS.ProcessEnv = {
    ...base,
    NATS_URL: urls.nats,
    REDIS_URL: urls.redis,
    MANYLINE_KEK: secrets.kek,
    DATABASE_RELAY_URL: urlOf("relay"),
    PUBLIC_URL: publicUrl(settings),
  };
  return {
    migrate: {
      ...base,
      DATABASE_OWNER_URL: urls.owner,
      MANYLINE_DB_PASSWORDS: JSON.stringify(secrets.databasePasswords),
    },
    gateway: {
      ...common,
      MEDIA_STORE: input.mediaStore,
      HOST: "127.0.0.1",
      PORT: String(settings.ports.gateway),
      ADMIN_TOKEN: secrets.adminToken,
      DATABASE_APP_URL: urlOf("app"),
      DATABASE_PLATFORM_URL: urlOf("platform"),
      CONSOLE_DIR: input.consoleDir,
      // A second lock on TIME_SCALE, which must not shorten the real WhatsApp's limits.
      ...(simulator === undefined ? { REAL_WHATSAPP: "true" } : {}),
    },
    sessionWorker: {
      ...common,
      MEDIA_STORE: input.mediaStore,
      HEALTH_PORT: String(settings.ports.workerHealth),
      DATABASE_WORKER_URL: urlOf("worker"),
      ...(simulator === undefined
        ? {}
        : {
            WA_URL: simulator.waUrl,
            WA_ROOT_KEY: simulator.waRootKey,
            GRAPH_URL: `http://127.0.0.1:${settings.ports.metaSimulator}`,
          }),
    },
    webhookIngest: {
      ...common,
      HOST: "127.0.0.1",
      PORT: String(settings.ports.ingest),
      DATABASE_INGEST_URL: urlOf("ingest"),
      META_APP_SECRET: input.base["META_APP_SECRET"] ?? secrets.metaAppSecret,
      META_VERIFY_TOKEN: input.base["META_VERIFY_TOKEN"] ?? secrets.metaVerifyToken,
    },
    notifier: {
      ...common,
      HOST: "127.0.0.1",
      PORT: String(settings.ports.notifier),
      DATABASE_NOTIFY_URL: urlOf("notify"),
    },
  };
}

export function publicUrl(settings: Settings): string {
  return `http://127.0.0.1:${settings.ports.gateway}`;
}
