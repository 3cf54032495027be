import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, describeConfig, envTable, readConfig } from "./config.ts";
import type { ConfigReader, Env } from "./config.ts";

function build(r: ConfigReader) {
  const config = {
    port: r.port("PORT", { default: 3000, meaning: "port of the REST API" }),
    databaseUrl: r.url("DATABASE_URL", {
      protocols: ["postgres:", "postgresql:"],
      meaning: "Postgres of the role app",
    }),
    natsUrls: r.urls("NATS_URL", { protocols: ["nats:", "tls:"], meaning: "NATS servers" }),
    kek: r.secretBytes("MANYLINE_KEK", { bytes: 32, meaning: "key-encryption key" }),
    level: r.oneOf("LOG_LEVEL", ["debug", "info"], { default: "info", meaning: "log level" }),
    redisUrl: r.url("REDIS_URL", { optional: true, meaning: "Redis" }),
    isReal: r.flag("REAL", { default: false, meaning: "talk to the real WhatsApp" }),
    timeScale: r.number("TIME_SCALE", { default: 1, min: 1, meaning: "speed of timers" }),
    minMs: r.durationMs("MIN_MS", { default: 10, meaning: "shortest pause" }),
    maxMs: r.durationMs("MAX_MS", { default: 100, meaning: "longest pause" }),
  };
  r.check(config.minMs < config.maxMs, "MIN_MS must be below MAX_MS", ["MIN_MS", "MAX_MS"]);
  r.check(!config.isReal || config.timeScale === 1, "REAL refuses TIME_SCALE", ["TIME_SCALE"]);
  return config;
}

const KEY = Buffer.alloc(32, 7);
const GOOD: Env = {
  DATABASE_URL: "postgres://app:pw@127.0.0.1/manyline",
  NATS_URL: "nats://a:4222, nats://b:4222",
  MANYLINE_KEK: KEY.toString("base64"),
};

function mistakesOf(env: Env): string[] {
  try {
    readConfig(env, build);
  } catch (error) {
    assert.ok(error instanceof ConfigError);
    return error.mistakes.map((mistake) => mistake.message);
  }
  return [];
}

test("reads typed values and defaults", () => {
  const config = readConfig({ ...GOOD, PORT: "8080", REAL: "no", REDIS_URL: " " }, build);
  assert.deepEqual(config, {
    port: 8080,
    databaseUrl: "postgres://app:pw@127.0.0.1/manyline",
    natsUrls: ["nats://a:4222", "nats://b:4222"],
    kek: KEY,
    level: "info",
    redisUrl: undefined,
    isReal: false,
    timeScale: 1,
    minMs: 10,
    maxMs: 100,
  });
  // The types know what is optional and what is one of a list.
  const redisUrl: string | undefined = config.redisUrl;
  const level: "debug" | "info" = config.level;
  const port: number = config.port;
  assert.ok(redisUrl === undefined && level === "info" && port === 8080);
});

test("lists every mistake at once, with the name and the value", () => {
  const mistakes = mistakesOf({
    PORT: "80x",
    DATABASE_URL: "mysql://root@db/x",
    LOG_LEVEL: "loud",
    REAL: "maybe",
    TIME_SCALE: "0.5",
    MIN_MS: "1.5",
  });
  assert.deepEqual(mistakes, [
    'PORT must be a whole number from 0 to 65535, not "80x"',
    'DATABASE_URL must be a URL that starts with postgres: or postgresql:, not "mysql://***@db/x"',
    "NATS_URL is required and not set",
    "MANYLINE_KEK is required and not set",
    'LOG_LEVEL must be one of debug, info, not "loud"',
    'REAL must be true or false, not "maybe"',
    'TIME_SCALE must be a number of at least 1, not "0.5"',
    'MIN_MS must be a whole number of at least 0, not "1.5"',
  ]);
});

test("the error's message names everything and is one that a start may print", () => {
  assert.throws(
    () => readConfig({ ...GOOD, PORT: "-1", LOG_LEVEL: "x" }, build),
    (error: Error) => {
      assert.match(error.message, /^The configuration has 2 mistakes:\n- PORT .*\n- LOG_LEVEL /);
      return true;
    },
  );
});

test("never shows the value of a secret or a password in a URL", () => {
  const short = "c2VjcmV0LXZhbHVl";
  const text = mistakesOf({ ...GOOD, MANYLINE_KEK: short }).join("\n");
  assert.match(text, /MANYLINE_KEK must be 32 bytes/);
  assert.ok(!text.includes(short));
  const url = mistakesOf({ ...GOOD, DATABASE_URL: "postgres//app:hunter2@db" }).join("\n");
  assert.match(url, /DATABASE_URL/);
  assert.ok(!url.includes("hunter2"));
});

test("a key of all zeros or in no known notation is refused", () => {
  const zeros = Buffer.alloc(32).toString("hex");
  assert.match(mistakesOf({ ...GOOD, MANYLINE_KEK: zeros }).join(), /not be all zeros/);
  assert.match(mistakesOf({ ...GOOD, MANYLINE_KEK: "?".repeat(43) }).join(), /32 bytes/);
  assert.deepEqual(mistakesOf({ ...GOOD, MANYLINE_KEK: KEY.toString("hex") }), []);
});

test("a check is made only on variables that are right themselves", () => {
  assert.deepEqual(mistakesOf({ ...GOOD, MIN_MS: "500" }), ["MIN_MS must be below MAX_MS"]);
  assert.equal(mistakesOf({ ...GOOD, MIN_MS: "500", MAX_MS: "soon" }).length, 1);
  assert.deepEqual(mistakesOf({ ...GOOD, REAL: "1", TIME_SCALE: "60" }), [
    "REAL refuses TIME_SCALE",
  ]);
});

function bad(r: ConfigReader): void {
  r.string("NAME");
  throw new TypeError("a bug");
}

test("an error of the build function counts only when nothing else is wrong", () => {
  assert.throws(() => readConfig({}, bad), ConfigError);
  assert.throws(() => readConfig({ NAME: "x" }, bad), TypeError);
});

test("describes the variables as a table for the README", () => {
  const rows = describeConfig(build);
  assert.deepEqual(
    rows.filter((row) => row.isRequired).map((row) => row.name),
    ["DATABASE_URL", "NATS_URL", "MANYLINE_KEK"],
  );
  const table = envTable(rows).split("\n");
  assert.equal(table[0], "| name | meaning | default | required |");
  assert.equal(table[2], "| `PORT` | port of the REST API | `3000` | no |");
  assert.ok(table.includes("| `MANYLINE_KEK` | key-encryption key |  | yes |"));
  assert.throws(() => envTable(describeConfig((r) => r.port("PORT"))), /no meaning/);
});
