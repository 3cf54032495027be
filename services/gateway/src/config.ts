import { openMediaStore } from "@manyline/media";
import { LOG_LEVELS, addressGuard, describeConfig, readConfig } from "@manyline/runtime";
import type { ConfigReader, Env, EnvRow, LogLevel } from "@manyline/runtime";
import { parseKeks } from "@manyline/db";

export type Config = {
  readonly http: {
    readonly port: number;
    readonly host: string;
    /** Addresses or CIDR ranges whose X-Forwarded-* headers are believed. */
    readonly trustedProxies: readonly string[];
    /** Where people reach this gateway, without a slash at the end. */
    readonly publicUrl: string;
    /** Built pages; a relative path is meant from the working directory. */
    readonly consoleDir: string;
  };
  readonly databases: { readonly app: string; readonly platform: string; readonly relay: string };
  readonly natsUrls: readonly string[];
  readonly redisUrl: string | undefined;
  readonly keks: string;
  readonly adminToken: string;
  readonly limits: {
    readonly perTokenPerMinute: number;
    readonly perAddressPerMinute: number;
    readonly failedLoginsPerMinute: number;
    readonly streamsPerToken: number;
  };
  readonly media: {
    /** A folder, or an `s3://` address with its secret. */
    readonly store: string;
    /** Addresses and ranges that URLs of files may lead to although they are not public. */
    readonly openAddresses: readonly string[];
  };
  /** Numbers of this company, and of no other, may do without a token of their own. */
  readonly meta: {
    readonly defaultCompany: string | undefined;
    readonly defaultToken: string | undefined;
  };
  /** Addresses and ranges where handlers of flows and webhooks may be although they are not public. */
  readonly handlerOpenAddresses: readonly string[];
  readonly timeScale: number;
  readonly logLevel: LogLevel;
};

/** From the working directory, which is the service's own folder. */
const DEFAULT_STORE = "../../.data/media";
const POSTGRES = ["postgres:", "postgresql:"] as const;

function build(r: ConfigReader): Config {
  const timeScale = r.number("TIME_SCALE", {
    default: 1,
    min: 1,
    max: 10_000,
    meaning: "how many times faster than life the pairing timers run; for tests only",
  });
  const isReal = r.flag("REAL_WHATSAPP", {
    default: false,
    meaning: "the workers talk to the real WhatsApp; forbids TIME_SCALE",
  });
  r.check(!isReal || timeScale === 1, "TIME_SCALE must be 1 when REAL_WHATSAPP is set", [
    "TIME_SCALE",
    "REAL_WHATSAPP",
  ]);
  const keks = r.secret("MANYLINE_KEK", {
    meaning: "key-encryption keys `id:base64[,id2:base64]`, 32 bytes each, the current one first",
  });
  r.check(isKeyList(keks), "MANYLINE_KEK must be id:base64[,id2:base64], 32 bytes each, no zeros", [
    "MANYLINE_KEK",
  ]);
  const store =
    r.secret("MEDIA_STORE", {
      optional: true,
      meaning:
        "where files are kept, the same for gateway and workers: a folder (`../../.data/media` if not set) or `s3://key:secret@host/bucket`",
    }) ?? DEFAULT_STORE;
  r.check(isStore(store), "MEDIA_STORE must be a folder or s3://key:secret@host/bucket", [
    "MEDIA_STORE",
  ]);
  const openAddresses = r.list("MEDIA_OPEN_ADDRESSES", {
    default: [],
    meaning:
      "addresses or CIDR ranges that are not public and that files may be fetched from all the same; for development",
  });
  r.check(isAddressList(openAddresses), "MEDIA_OPEN_ADDRESSES must be addresses or CIDR ranges", [
    "MEDIA_OPEN_ADDRESSES",
  ]);
  const defaultCompany = r.string("META_DEFAULT_COMPANY", {
    optional: true,
    meaning: "the one company whose Meta numbers get META_ACCESS_TOKEN if they come without one",
  });
  const defaultToken = r.secret("META_ACCESS_TOKEN", {
    optional: true,
    meaning: "token for Meta numbers of META_DEFAULT_COMPANY; for no other company's",
  });
  r.check(
    (defaultCompany === undefined) === (defaultToken === undefined),
    "META_DEFAULT_COMPANY and META_ACCESS_TOKEN belong together",
    ["META_DEFAULT_COMPANY", "META_ACCESS_TOKEN"],
  );
  const handlerOpenAddresses = r.list("HANDLER_OPEN_ADDRESSES", {
    default: [],
    meaning:
      "addresses or CIDR ranges that are not public and where handlers of flows and webhooks may be all the same; for development, and as webhook-ingest and notifier have it",
  });
  r.check(
    isAddressList(handlerOpenAddresses),
    "HANDLER_OPEN_ADDRESSES must be addresses or CIDR ranges",
    ["HANDLER_OPEN_ADDRESSES"],
  );
  return {
    meta: { defaultCompany, defaultToken },
    media: { store, openAddresses },
    handlerOpenAddresses,
    http: {
      port: r.port("PORT", { default: 3000, meaning: "the TCP port; 0 takes a free one" }),
      host: r.string("HOST", { default: "127.0.0.1", meaning: "the address to listen on" }),
      publicUrl: r
        .url("PUBLIC_URL", {
          protocols: ["http:", "https:"],
          meaning:
            "where people reach this gateway; pairing links start with it, https makes cookies Secure",
        })
        .replace(/\/+$/, ""),
      consoleDir: r.string("CONSOLE_DIR", {
        default: "../../apps/console/dist",
        meaning: "folder of the built pages, from the working directory",
      }),
      trustedProxies: r.list("TRUSTED_PROXIES", {
        default: [],
        meaning: "addresses or CIDR ranges whose X-Forwarded-For and -Proto are believed",
      }),
    },
    databases: {
      app: r.url("DATABASE_APP_URL", {
        protocols: POSTGRES,
        meaning: "Postgres as manyline_app: company routes",
      }),
      platform: r.url("DATABASE_PLATFORM_URL", {
        protocols: POSTGRES,
        meaning: "Postgres as manyline_platform: admin routes",
      }),
      relay: r.url("DATABASE_RELAY_URL", {
        protocols: POSTGRES,
        meaning: "Postgres as manyline_relay: publishing what this process committed",
      }),
    },
    natsUrls: r.urls("NATS_URL", {
      protocols: ["nats:", "tls:"],
      meaning: "NATS servers, commas between them",
    }),
    redisUrl: r.url("REDIS_URL", {
      optional: true,
      protocols: ["redis:", "rediss:"],
      meaning: "Redis for shared request limits; without it each process counts alone",
    }),
    keks,
    adminToken: r.secret("ADMIN_TOKEN", {
      minLength: 32,
      meaning: "the operator's token, at least 32 characters",
    }),
    limits: {
      perTokenPerMinute: r.integer("TOKEN_REQUESTS_PER_MINUTE", {
        default: 1_200,
        min: 1,
        meaning:
          "requests a minute with one company token or cookie; the operator's is not limited",
      }),
      perAddressPerMinute: r.integer("ADDRESS_REQUESTS_PER_MINUTE", {
        default: 6_000,
        min: 1,
        meaning: "requests a minute from one address; the operator's are not counted",
      }),
      failedLoginsPerMinute: r.integer("FAILED_LOGINS_PER_MINUTE", {
        default: 60,
        min: 1,
        meaning: "refused tokens and links a minute from one address",
      }),
      streamsPerToken: r.integer("STREAMS_PER_TOKEN", {
        default: 20,
        min: 1,
        meaning: "event streams open at a time with one token or cookie, in one process",
      }),
    },
    timeScale,
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

function isStore(setting: string): boolean {
  try {
    openMediaStore(setting);
    return true;
  } catch {
    return false;
  }
}

function isAddressList(list: readonly string[]): boolean {
  try {
    addressGuard(list);
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
