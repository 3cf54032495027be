/** The environment of the session-worker, all of it checked at once. */
import { PACE } from "./domain/pace.ts";
import { openMediaStore } from "@manyline/media";
import { LOG_LEVELS, readConfig, type ConfigReader, type Env } from "@manyline/runtime";

export type Config = ReturnType<typeof buildConfig>;

export function envToConfig(env: Env): Config {
  return readConfig(env, buildConfig);
}

/** From the service's folder, where it is started. */
const DEFAULT_STORE = "../../.data/media";

/** Everybody knows it. */
const PUBLISHED_SECRET = "THISISMYSECURETOKEN";

const POSTGRES = { protocols: ["postgres:", "postgresql:"] } as const;

/** Exported for the table in the README, which a test compares. */
export function buildConfig(r: ConfigReader) {
  const config = {
    databaseUrl: r.url("DATABASE_WORKER_URL", { ...POSTGRES, meaning: "Postgres, as role worker" }),
    relayUrl: r.url("DATABASE_RELAY_URL", { ...POSTGRES, meaning: "Postgres, as role relay" }),
    natsUrls: r.urls("NATS_URL", {
      protocols: ["nats:", "tls:"],
      meaning: "NATS, several with commas between them",
    }),
    redisUrl: r.url("REDIS_URL", {
      protocols: ["redis:", "rediss:"],
      optional: true,
      meaning: "Redis for the copies under the seed's keys; without it none are made",
    }),
    keks: r.secret("MANYLINE_KEK", {
      meaning:
        "key-encryption keys, `id:base64` of 32 bytes, the current one first, commas between",
    }),
    host: r.string("HEALTH_HOST", { default: "127.0.0.1", meaning: "address of the health port" }),
    port: r.port("HEALTH_PORT", { default: 3010, meaning: "port of /health and /metrics" }),
    media:
      r.secret("MEDIA_STORE", {
        optional: true,
        meaning:
          "where files are kept, the same for gateway and workers: a folder (`../../.data/media` if not set) or `s3://key:secret@host/bucket`",
      }) ?? DEFAULT_STORE,
    waUrl: r.url("WA_URL", {
      protocols: ["ws:", "wss:"],
      optional: true,
      meaning: "WhatsApp server; without it the real one. Only together with WA_ROOT_KEY",
    }),
    waRootKey: r.string("WA_ROOT_KEY", {
      pattern: /^[0-9a-f]{64}$/i,
      must: "be 32 bytes in hex",
      optional: true,
      meaning: "the key that server's certificate is signed with, hex",
    }),
    graphUrl: r.url("GRAPH_URL", {
      protocols: ["http:", "https:"],
      default: "https://graph.facebook.com",
      meaning: "Meta's Graph API",
    }),
    graphVersion: r.string("GRAPH_VERSION", {
      pattern: /^v\d+\.0$/,
      must: "look like v26.0",
      default: "v26.0",
      meaning: "its version; a warning is logged 90 days before its end",
    }),
    graphProof: r.flag("GRAPH_PROOF", {
      default: false,
      meaning:
        "calls carry `appsecret_proof`, for apps that require it: by the secret of the company's own app, else by META_APP_SECRET",
    }),
    metaAppSecret: firstOf(
      r.secret("META_APP_SECRET", {
        optional: true,
        meaning: "secret of the Meta app that serves all companies, as webhook-ingest has it",
      }),
    ),
    wppUrl: r.url("WPP_BASE_URL", {
      protocols: ["http:", "https:"],
      optional: true,
      meaning: "the WPP Platform; without it there are no WPP numbers",
    }),
    wppSecret: r.secret("WPP_SECRET", {
      optional: true,
      meaning:
        "the application's own secret at the WPP Platform, with which numbers are made there",
    }),
    wppConnectUrl: r.url("WPPCONNECT_URL", {
      protocols: ["http:", "https:"],
      optional: true,
      meaning: "a WPPConnect Server; without it there are no numbers there",
    }),
    wppConnectSecret: r.secret("WPPCONNECT_SECRET", {
      optional: true,
      meaning: "the secret of the WPPConnect Server; not the one it is published with",
    }),
    publicUrl: r.url("PUBLIC_URL", {
      protocols: ["http:", "https:"],
      optional: true,
      meaning:
        "where the gateway is reached: from there the WPP Platform fetches the files that are sent. Without it numbers there send none",
    }),
    wppWebhookUrl: r.url("WPP_WEBHOOK_URL", {
      protocols: ["http:", "https:"],
      optional: true,
      meaning:
        "where the WPP servers reach webhook-ingest; `/webhooks/wpp/<key of the number>` is added. Without it no webhooks are asked for",
    }),
    waVersion: r.string("WA_VERSION", {
      pattern: /^\d+\.\d+\.\d+$/,
      must: "look like 2.3000.1043857760",
      optional: true,
      meaning: "client version told to WhatsApp, one for the whole fleet; without it the library's",
    }),
    deviceName: r.string("WA_DEVICE_NAME", {
      default: "Manyline",
      meaning: "what the phone lists under linked devices",
    }),
    keepAliveMs: r.durationMs("WA_KEEP_ALIVE_MS", {
      default: 60_000,
      min: 1_000,
      meaning: "between two pings of a connection",
    }),
    watchdogMs: r.durationMs("WA_WATCHDOG_MS", {
      default: 30_000,
      min: 1_000,
      meaning: "without a sign of life for so long an opening connection is given up",
    }),
    sendsPerSecond: r.number("SENDS_PER_SECOND", {
      default: PACE.perSecond,
      min: 0.01,
      max: 1_000,
      meaning: "messages that one number sends a second, in the long run",
    }),
    sendBurst: r.integer("SEND_BURST", {
      default: PACE.burst,
      min: 1,
      max: 1_000,
      meaning: "messages that one number sends at once after a rest",
    }),
    firstContacts: r.integer("FIRST_CONTACTS_PER_DAY", {
      default: PACE.firstContactsPerDay,
      min: 0,
      meaning: "people who never wrote, that one number writes to for the first time in 24 hours",
    }),
    openLimit: r.integer("OPEN_LIMIT", {
      default: 25,
      min: 1,
      meaning: "connections being opened at once",
    }),
    reconnectBaseMs: r.durationMs("RECONNECT_BASE_MS", {
      default: 1_000,
      min: 10,
      meaning: "longest first wait before a reconnect; doubles with each try",
    }),
    reconnectCapMs: r.durationMs("RECONNECT_CAP_MS", {
      default: 60_000,
      min: 10,
      meaning: "longest wait before a reconnect",
    }),
    recycleAfterMs: r.durationMs("RECYCLE_AFTER_MS", {
      default: 36 * 3_600_000,
      min: 1_000,
      meaning:
        "a connection is replaced by a fresh one after this time, a third more or less, at a quiet moment",
    }),
    silenceMs: r.durationMs("WA_SILENCE_MS", {
      default: 2 * 3_600_000,
      min: 1_000,
      meaning:
        "without a message or receipt for so long, and 20 times longer than usual, a connection is taken for deaf and replaced",
    }),
    capacity: r.integer("WORKER_CAPACITY", {
      default: 2_500,
      min: 1,
      meaning: "numbers this worker is made for; its share of the shards follows from it",
    }),
    generation: r.integer("WORKER_GENERATION", {
      default: 0,
      min: 0,
      meaning: "grows with each rollout: freed shards go to the newest generation first",
    }),
    workerHost: r.string("WORKER_HOST", {
      pattern: /^[A-Za-z0-9._-]{1,200}$/,
      must: "be a name of letters, digits, . _ and -",
      optional: true,
      meaning: "name operators know the worker by, the pod's name; without it the machine's",
    }),
    drainMs: r.durationMs("DRAIN_TIMEOUT_MS", {
      default: 130_000,
      min: 1_000,
      meaning: "to hand everything over at a stop; numbers / 20 per second fit",
    }),
    eventDays: r.integer("EVENT_RETENTION_DAYS", {
      default: 8,
      min: 8,
      meaning: "days the event log is kept",
    }),
    natsReplicas: r.integer("NATS_REPLICAS", {
      default: 1,
      min: 1,
      max: 5,
      meaning: "copies of the EVENTS stream; 3 in production",
    }),
    timeScale: r.number("TIME_SCALE", {
      default: 1,
      min: 1,
      max: 10_000,
      meaning: "shortens pairing timers, the rolling hour and the cooldown, for tests",
    }),
    logLevel: r.oneOf("LOG_LEVEL", LOG_LEVELS, { default: "info", meaning: "least level logged" }),
  };
  r.check(isStore(config.media), "MEDIA_STORE must be a folder or s3://key:secret@host/bucket", [
    "MEDIA_STORE",
  ]);
  r.check(
    config.wppConnectSecret !== PUBLISHED_SECRET,
    "WPPCONNECT_SECRET must not be the one that the server is published with",
    ["WPPCONNECT_SECRET"],
  );
  r.check(
    (config.wppConnectUrl === undefined) === (config.wppConnectSecret === undefined),
    "WPPCONNECT_URL and WPPCONNECT_SECRET belong together: set both or none",
    ["WPPCONNECT_URL", "WPPCONNECT_SECRET"],
  );
  r.check(
    (config.waUrl === undefined) === (config.waRootKey === undefined),
    "WA_URL and WA_ROOT_KEY belong together: set both or none",
    ["WA_URL", "WA_ROOT_KEY"],
  );
  r.check(
    config.timeScale === 1 || config.waUrl !== undefined,
    "TIME_SCALE is for simulators only: with the real WhatsApp it must be 1",
    ["TIME_SCALE", "WA_URL"],
  );
  return config;
}

/** While a secret is being changed the new one comes first. */
function firstOf(list: string | undefined): string | undefined {
  return list?.split(",")[0]?.trim() || undefined;
}

function isStore(setting: string): boolean {
  try {
    openMediaStore(setting);
    return true;
  } catch {
    return false;
  }
}
