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
  "MAIL_FROM",
  "DATABASE_OWNER_URL",
  "MANYLINE_DB_PASSWORDS",
  "MANYLINE_DATA",
  "MANYLINE_ROOT",
  "MEDIA_STORE",
  "META_ACCESS_TOKEN",
  "META_APP_SECRET",
  "META_VERIFY_TOKEN",
  "NODE_CHANNEL_FD",
  "NODE_OPTIONS",
  "PORT",
  "SMS_HTTP_TOKEN",
  "SMS_HTTP_URL",
  "SMTP_CA",
  "SMTP_URL",
  "TWILIO_ACCOUNT_SID",
  "TWILIO_AUTH_TOKEN",
  "TWILIO_FROM",
  "TWILIO_URL",
  "WA_ROOT_KEY",
  "WA_URL",
  "WPPCONNECT_SECRET",
  "WPP_SECRET",
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
  const metaAppSecret = input.base["META_APP_SECRET"] ?? secrets.metaAppSecret;
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
      ...given(input.base, "META_ACCESS_TOKEN"),
      // A second lock on TIME_SCALE, which must not shorten the real WhatsApp's limits.
      ...(simulator === undefined ? { REAL_WHATSAPP: "true" } : {}),
    },
    sessionWorker: {
      ...common,
      MEDIA_STORE: input.mediaStore,
      HEALTH_PORT: String(settings.ports.workerHealth),
      DATABASE_WORKER_URL: urlOf("worker"),
      ...wppServers(input.base, settings, simulator && secrets.wppSecret),
      // It signs calls with the app's secret only when told to.
      ...(base["GRAPH_PROOF"] === undefined ? {} : { META_APP_SECRET: metaAppSecret }),
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
      MEDIA_STORE: input.mediaStore,
      HOST: "127.0.0.1",
      PORT: String(settings.ports.ingest),
      DATABASE_INGEST_URL: urlOf("ingest"),
      META_APP_SECRET: metaAppSecret,
      META_VERIFY_TOKEN: input.base["META_VERIFY_TOKEN"] ?? secrets.metaVerifyToken,
    },
    notifier: {
      ...common,
      HOST: "127.0.0.1",
      PORT: String(settings.ports.notifier),
      DATABASE_NOTIFY_URL: urlOf("notify"),
      ...(simulator === undefined ? senders(input.base) : sinks(settings)),
    },
  };
}

/** What is given to the notifier alone, so that it can really send. */
const SENDERS = [
  "MAIL_FROM",
  "SMS_HTTP_TOKEN",
  "SMS_HTTP_URL",
  "SMTP_CA",
  "SMTP_URL",
  "TWILIO_ACCOUNT_SID",
  "TWILIO_AUTH_TOKEN",
  "TWILIO_FROM",
  "TWILIO_URL",
] as const;

function senders(base: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    SENDERS.flatMap((name) => (base[name] === undefined ? [] : [[name, base[name]]])),
  );
}

/** With simulated phones nothing goes to real people either. */
function sinks({ ports }: Settings): NodeJS.ProcessEnv {
  const inbox = `http://127.0.0.1:${ports.inbox}`;
  return {
    SMTP_URL: `smtp://127.0.0.1:${ports.inboxSmtp}`,
    SMTP_CA: "",
    MAIL_FROM: "Manyline <notices@manyline.example>",
    TWILIO_URL: inbox,
    TWILIO_ACCOUNT_SID: `AC${"0".repeat(32)}`,
    TWILIO_AUTH_TOKEN: "simulated-twilio-token",
    TWILIO_FROM: "+15550100",
    SMS_HTTP_URL: "",
    SMS_HTTP_TOKEN: "",
  };
}

/** WPP servers of one's own, each with its secret; with simulated phones, simulated ones in place of those not named. */
function wppServers(
  base: NodeJS.ProcessEnv,
  { ports }: Settings,
  simulated: string | undefined,
): NodeJS.ProcessEnv {
  const at = (port: number): string => `http://127.0.0.1:${port}`;
  const mine = given(base, "WPP_SECRET", "WPPCONNECT_SECRET", "WPP_WEBHOOK_URL");
  if (simulated === undefined) return mine;
  return {
    WPP_WEBHOOK_URL: at(ports.ingest),
    ...mine,
    ...(base["WPP_BASE_URL"] === undefined
      ? { WPP_BASE_URL: at(ports.wppSimulator), WPP_SECRET: simulated }
      : {}),
    ...(base["WPPCONNECT_URL"] === undefined
      ? { WPPCONNECT_URL: at(ports.wppConnectSimulator), WPPCONNECT_SECRET: simulated }
      : {}),
  };
}

/** What the one who starts it has set of these. */
function given(base: NodeJS.ProcessEnv, ...names: string[]): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => (base[name] === undefined ? [] : [[name, base[name]]])),
  );
}

export function publicUrl(settings: Settings): string {
  return `http://127.0.0.1:${settings.ports.gateway}`;
}
