/** The environment of webhook-ingest, all of it checked at once. */
import { FLOW_FIGURES } from "@manyline/contracts";
import { parseKeks } from "@manyline/db";
import { openMediaStore } from "@manyline/media";
import {
  addressGuard,
  describeConfig,
  LOG_LEVELS,
  readConfig,
  type ConfigReader,
  type Env,
  type EnvRow,
} from "@manyline/runtime";

export type Config = ReturnType<typeof build>;

/** From the service's folder, where it is started. */
const DEFAULT_STORE = "../../.data/media";

const POSTGRES = { protocols: ["postgres:", "postgresql:"] } as const;

function build(r: ConfigReader) {
  const keks = r.secret("MANYLINE_KEK", {
    meaning: "key-encryption keys `id:base64[,id2:base64]`, 32 bytes each, the current one first",
  });
  r.check(isKeyList(keks), "MANYLINE_KEK must be id:base64[,id2:base64], 32 bytes each, no zeros", [
    "MANYLINE_KEK",
  ]);
  const appSecrets = splitList(
    r.secret("META_APP_SECRET", {
      optional: true,
      meaning:
        "secret of the Meta app that serves all companies; while it is being changed the new one, a comma, the former one. Without it only companies with an app of their own get webhooks",
    }),
  );
  const verifyToken = r.secret("META_VERIFY_TOKEN", {
    optional: true,
    minLength: 8,
    meaning: "the text that Meta repeats when that app's webhook is set up",
  });
  r.check(
    appSecrets.length > 0 === (verifyToken !== undefined),
    "META_APP_SECRET and META_VERIFY_TOKEN belong together",
    ["META_APP_SECRET", "META_VERIFY_TOKEN"],
  );
  const openAddresses = r.list("HANDLER_OPEN_ADDRESSES", {
    default: [],
    meaning:
      "addresses or CIDR ranges that are not public and where handlers of flows may be all the same; for development",
  });
  r.check(isAddressList(openAddresses), "HANDLER_OPEN_ADDRESSES must be addresses or CIDR ranges", [
    "HANDLER_OPEN_ADDRESSES",
  ]);
  const store =
    r.secret("MEDIA_STORE", {
      optional: true,
      meaning:
        "where files are kept that come in webhooks of WPP servers, the same as for gateway and workers: a folder (`../../.data/media` if not set) or `s3://key:secret@host/bucket`",
    }) ?? DEFAULT_STORE;
  r.check(isStore(store), "MEDIA_STORE must be a folder or s3://key:secret@host/bucket", [
    "MEDIA_STORE",
  ]);
  return {
    wpp: {
      store,
      bodyBytes: r.integer("WPP_BODY_BYTES", {
        default: 28 * 1024 * 1024,
        min: 1_024,
        max: 64 * 1024 * 1024,
        meaning:
          "largest webhook of a WPP server that is read; a file in it is base64, a third larger than its bytes",
      }),
      fileBytes: r.integer("WPP_FILE_BYTES", {
        default: 20 * 1024 * 1024,
        min: 1_024,
        max: 48 * 1024 * 1024,
        meaning: "largest file in such a webhook that is kept",
      }),
      readingBytes: r.integer("WPP_READING_BYTES", {
        default: 96 * 1024 * 1024,
        min: 1_024,
        meaning: "bytes of such webhooks that are read at a time at most; then 503",
      }),
    },
    flows: {
      bodyBytes: r.integer("FLOW_BODY_BYTES", {
        default: 1024 * 1024,
        min: 1_024,
        max: 16 * 1024 * 1024,
        meaning: "largest request of a flow that is read",
      }),
      handlerMs: r.integer("FLOW_HANDLER_MS", {
        default: FLOW_FIGURES.handlerMs,
        min: 100,
        max: 9_500,
        meaning: "ms that a company's handler has for a screen; the phone waits 10 s",
      }),
      openAddresses,
    },
    http: {
      port: r.port("PORT", { default: 3020, meaning: "the TCP port; 0 takes a free one" }),
      host: r.string("HOST", { default: "127.0.0.1", meaning: "the address to listen on" }),
    },
    databases: {
      ingest: r.url("DATABASE_INGEST_URL", { ...POSTGRES, meaning: "Postgres as manyline_ingest" }),
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
    meta: { appSecrets, verifyToken },
    bodyBytes: r.integer("WEBHOOK_BODY_BYTES", {
      default: 4 * 1024 * 1024,
      min: 1_024,
      max: 64 * 1024 * 1024,
      meaning: "largest webhook that is read; Meta sends up to 3 MB",
    }),
    batch: {
      lanes: r.integer("COMMIT_LANES", {
        default: 4,
        min: 1,
        max: 64,
        meaning:
          "commits under way at a time, a further one when one takes long; webhooks of one account go one after the other",
      }),
      size: r.integer("COMMIT_WEBHOOKS", {
        default: 128,
        min: 1,
        max: 1_000,
        meaning: "webhooks in one commit at most",
      }),
      ahead: r.integer("ANSWERED_WEBHOOKS", {
        default: 32_768,
        min: 1,
        meaning:
          "webhooks of Meta that are answered before they are committed at most; the next ones wait for room",
      }),
      waitingBytes: r.integer("WAITING_BYTES", {
        default: 64 * 1024 * 1024,
        min: 1_024,
        meaning: "bytes of webhooks that wait for their commit at most; then 503",
      }),
    },
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

function splitList(text: string | undefined): string[] {
  return (text ?? "").split(",").flatMap((part) => part.trim() || []);
}

function isAddressList(list: readonly string[]): boolean {
  try {
    addressGuard(list);
    return true;
  } catch {
    return false;
  }
}

function isStore(setting: string): boolean {
  try {
    openMediaStore(setting);
    return true;
  } catch {
    return false;
  }
}

function isKeyList(text: string): boolean {
  try {
    parseKeks(text);
    return true;
  } catch {
    return false;
  }
}
