/** The environment of notifier, all of it checked at once. */
import { WEBHOOK_FIGURES } from "@manyline/contracts/webhooks";
import { parseKeks } from "@manyline/db";
import {
  addressGuard,
  describeConfig,
  LOG_LEVELS,
  readConfig,
  type ConfigReader,
  type Env,
  type EnvRow,
} from "@manyline/runtime";
import { readNoticeConfig } from "./notices/config.ts";

export type Config = ReturnType<typeof build>;

const POSTGRES = { protocols: ["postgres:", "postgresql:"] } as const;

function build(r: ConfigReader) {
  const keks = r.secret("MANYLINE_KEK", {
    meaning: "key-encryption keys `id:base64[,id2:base64]`, 32 bytes each, the current one first",
  });
  r.check(
    isSound(() => parseKeks(keks)),
    "MANYLINE_KEK must be id:base64[,id2:base64], 32 bytes each, no zeros",
    ["MANYLINE_KEK"],
  );
  const openAddresses = r.list("HANDLER_OPEN_ADDRESSES", {
    default: [],
    meaning:
      "addresses or CIDR ranges that are not public and where webhooks may be all the same; for development",
  });
  r.check(
    isSound(() => addressGuard(openAddresses)),
    "HANDLER_OPEN_ADDRESSES must be addresses or CIDR ranges",
    ["HANDLER_OPEN_ADDRESSES"],
  );
  return {
    webhooks: {
      openAddresses,
      timeoutMs: r.integer("WEBHOOK_TIMEOUT_MS", {
        default: WEBHOOK_FIGURES.timeoutMs,
        min: 100,
        max: 30_000,
        meaning: "ms that a company's endpoint has for its answer",
      }),
      sends: r.integer("WEBHOOK_SENDS", {
        default: 256,
        min: 1,
        max: 10_000,
        meaning: "deliveries under way at a time, to all endpoints together",
      }),
      sweepMs: r.integer("WEBHOOK_SWEEP_MS", {
        default: 1_000,
        min: 50,
        max: 60_000,
        meaning:
          "ms between two looks for what is to be tried again, or was left by a process that died",
      }),
    },
    notices: readNoticeConfig(r),
    http: {
      port: r.port("PORT", { default: 3030, meaning: "the TCP port; 0 takes a free one" }),
      host: r.string("HOST", { default: "127.0.0.1", meaning: "the address to listen on" }),
    },
    databases: {
      notify: r.url("DATABASE_NOTIFY_URL", { ...POSTGRES, meaning: "Postgres as manyline_notify" }),
      relay: r.url("DATABASE_RELAY_URL", {
        ...POSTGRES,
        meaning: "Postgres as manyline_relay: publishing what this process committed",
      }),
    },
    natsUrls: r.urls("NATS_URL", {
      protocols: ["nats:", "tls:"],
      meaning: "NATS servers, commas between them",
    }),
    natsReplicas: r.integer("NATS_REPLICAS", {
      default: 1,
      min: 1,
      max: 5,
      meaning: "copies of the EVENTS stream; 3 in production",
    }),
    keks,
    logLevel: r.oneOf("LOG_LEVEL", LOG_LEVELS, { default: "info", meaning: "least level logged" }),
  };
}

/** Reads the configuration; throws one ConfigError that lists everything wrong. */
export function envToConfig(env: Env): Config {
  return readConfig(env, build);
}

/** For the README's table. */
export function configTable(): EnvRow[] {
  return describeConfig(build);
}

function isSound(read: () => unknown): boolean {
  try {
    read();
    return true;
  } catch {
    return false;
  }
}
