import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { parse } from "yaml";
import { environments } from "../src/environment.ts";
import { ROOT } from "../src/paths.ts";
import { readSettings } from "../src/settings.ts";

type Service = {
  image?: string;
  command?: string[];
  working_dir?: string;
  environment?: Record<string, string>;
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
  volumes?: string[];
};

const text = await readFile(join(ROOT, "docker-compose.yml"), "utf8");
const compose: { services: Record<string, Service>; volumes: Record<string, unknown> } = parse(
  text,
  { merge: true },
);

const local = environments({
  // What only some need is passed on by npm start when it is set, and by compose always.
  base: {
    META_DEFAULT_COMPANY: "",
    META_ACCESS_TOKEN: "",
    GRAPH_PROOF: "false",
    WPP_SECRET: "",
    WPPCONNECT_SECRET: "",
  },
  settings: readSettings({}),
  secrets: {
    adminToken: "a",
    kek: "k",
    databasePasswords: {
      app: "1",
      platform: "2",
      worker: "3",
      ingest: "5",
      notify: "6",
      relay: "4",
    },
    metaAppSecret: "m",
    metaVerifyToken: "v",
    wppSecret: "v",
  },
  urls: { owner: "postgres://o:p@h/d", nats: "nats://n", redis: "redis://r" },
  simulator: { waUrl: "ws://w", waRootKey: "00" },
  consoleDir: "/c",
  mediaStore: "/m",
});

const PAIRS = [
  ["migrate", local.migrate],
  ["gateway", local.gateway],
  ["session-worker", local.sessionWorker],
  ["webhook-ingest", local.webhookIngest],
  ["notifier", local.notifier],
] as const;

for (const [name, env] of PAIRS) {
  test(`${name} gets the same variables from compose as from npm start`, () => {
    const given = Object.keys(compose.services[name]?.environment ?? {});
    const optional = new Set([
      "LOG_LEVEL",
      "TIME_SCALE",
      "OTEL_SERVICE_NAME",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]);
    // Not secret: every process of npm start inherits these.
    const inherited = new Set([
      "META_DEFAULT_COMPANY",
      "GRAPH_PROOF",
      "WPP_BASE_URL",
      "WPP_WEBHOOK_URL",
      "WPPCONNECT_URL",
    ]);
    const required = (variables: string[]): string[] =>
      variables
        .filter((variable) => !optional.has(variable) && !inherited.has(variable))
        .toSorted();
    assert.deepEqual(required(given), required(Object.keys(env)));
  });
}

test("every program that compose starts is there, from the folder it is started in", () => {
  const programs = Object.values(compose.services).filter(
    ({ image }) => image === "manyline:local",
  );
  assert.equal(programs.length, 7);
  for (const { working_dir: folder = "", command = [] } of programs) {
    assert.match(folder, /^\/app\//);
    const entry = command.at(-1) ?? "";
    assert.ok(existsSync(join(ROOT, folder.slice("/app/".length), entry)), `${folder}/${entry}`);
  }
});

test("nothing starts before what it needs; every server has a health check", () => {
  for (const [name, { depends_on: needs = {}, healthcheck }] of Object.entries(compose.services)) {
    for (const [needed, { condition }] of Object.entries(needs)) {
      const other = compose.services[needed];
      assert.ok(other !== undefined, `${name} needs ${needed}`);
      if (condition !== "service_healthy") continue;
      assert.ok(Array.isArray(other.healthcheck?.test), `${needed} has no health check`);
    }
    assert.ok(healthcheck === undefined || healthcheck.disable === true || healthcheck.test);
  }
  for (const name of ["gateway", "session-worker", "webhook-ingest"]) {
    const condition = compose.services[name]?.depends_on?.["migrate"]?.condition;
    assert.equal(condition, "service_completed_successfully");
  }
});

test("secrets come from outside and are refused when missing", () => {
  // Without a Meta app for all, or a provider of SMS, their secrets are not needed.
  for (const [variable] of text.matchAll(
    /\$\{(?!META_|TWILIO_|SMS_)\w*(?:PASSWORD|KEK|TOKEN)\w*[^}]*\}/g,
  )) {
    assert.match(variable, /:\?/, `${variable} needs :?`);
  }
  assert.doesNotMatch(text, /postgres:\/\/\w+:(?!\$\{)/);
});

test("named volumes are declared and mounted files exist", () => {
  for (const { volumes = [] } of Object.values(compose.services)) {
    for (const volume of volumes) {
      const source = volume.split(":")[0] ?? "";
      if (source.startsWith(".")) assert.ok(existsSync(join(ROOT, source)), source);
      else assert.ok(source in compose.volumes, source);
    }
  }
});
