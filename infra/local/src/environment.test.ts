import assert from "node:assert/strict";
import { test } from "node:test";
import { environments } from "./environment.ts";
import { readSettings } from "./settings.ts";

const secrets = {
  adminToken: "the-admin-token",
  kek: "local-1:a2V5",
  databasePasswords: {
    app: "pw-app",
    platform: "pw-plat",
    worker: "pw-work",
    ingest: "pw-ing",
    notify: "pw-not",
    relay: "pw-relay",
  },
  metaAppSecret: "the-meta-secret",
  metaVerifyToken: "the-meta-token",
  wppSecret: "the-wpp-secret",
};
const input = {
  base: {
    PATH: "/bin",
    LOG_LEVEL: "debug",
    OTEL_SERVICE_NAME: "mine",
    WA_URL: "ws://stray",
    ADMIN_TOKEN: "stray",
    MEDIA_STORE: "stray",
    npm_config_prefix: "/x",
  },
  settings: readSettings({}),
  secrets,
  urls: {
    owner: "postgres://manyline_owner:pw-owner@127.0.0.1:1/manyline?sslmode=disable",
    nats: "nats://127.0.0.1:2",
    redis: "redis://127.0.0.1:3",
  },
  simulator: { waUrl: "ws://127.0.0.1:7000/ws/chat", waRootKey: "aa" },
  consoleDir: "/clone/apps/console/dist",
  mediaStore: "/clone/.data/media",
};

test("each process gets its own secrets and nobody else's", () => {
  const { migrate, gateway, sessionWorker } = environments(input);
  assert.match(gateway["DATABASE_APP_URL"] ?? "", /manyline_app:pw-app@.*\?sslmode=disable$/);
  assert.match(sessionWorker["DATABASE_WORKER_URL"] ?? "", /manyline_worker:pw-work@/);
  assert.equal(gateway["ADMIN_TOKEN"], "the-admin-token");
  assert.deepEqual(JSON.parse(migrate["MANYLINE_DB_PASSWORDS"] ?? ""), secrets.databasePasswords);

  assert.equal(gateway["MEDIA_STORE"], "/clone/.data/media");
  assert.equal(sessionWorker["MEDIA_STORE"], "/clone/.data/media");
  assert.equal(environments(input).webhookIngest["MEDIA_STORE"], "/clone/.data/media");
  assert.ok(!("MEDIA_STORE" in migrate), "it may hold the bucket's secret");
  const { webhookIngest } = environments(input);
  assert.match(webhookIngest["DATABASE_INGEST_URL"] ?? "", /manyline_ingest:pw-ing@/);
  assert.equal(webhookIngest["META_APP_SECRET"], "the-meta-secret");
  const own = { ...input, base: { META_APP_SECRET: "own", META_VERIFY_TOKEN: "own-token" } };
  assert.equal(environments(own).webhookIngest["META_APP_SECRET"], "own");
  const signing = environments({ ...input, base: { GRAPH_PROOF: "true", META_ACCESS_TOKEN: "t" } });
  assert.equal(signing.sessionWorker["META_APP_SECRET"], "the-meta-secret");
  assert.equal(signing.gateway["META_ACCESS_TOKEN"], "t");
  assert.ok(!("META_ACCESS_TOKEN" in signing.sessionWorker));

  const texts = { gateway: JSON.stringify(gateway), worker: JSON.stringify(sessionWorker) };
  for (const text of Object.values(texts)) assert.doesNotMatch(text, /pw-owner|stray|npm_config/);
  assert.doesNotMatch(texts.gateway, /pw-work|pw-ing|ws:|the-meta/);
  assert.doesNotMatch(texts.worker, /pw-app|pw-plat|pw-ing|the-admin-token|the-meta/);
  assert.doesNotMatch(JSON.stringify(webhookIngest), /pw-app|pw-work|the-admin-token|ws:/);
});

test("other variables pass through; the simulator is set as a pair or not at all", () => {
  const { sessionWorker } = environments(input);
  assert.equal(sessionWorker["LOG_LEVEL"], "debug");
  assert.equal(sessionWorker["OTEL_SERVICE_NAME"], "mine");
  assert.equal(sessionWorker["WA_URL"], "ws://127.0.0.1:7000/ws/chat");
  assert.equal(sessionWorker["WA_ROOT_KEY"], "aa");

  const real = environments({ ...input, simulator: undefined }).sessionWorker;
  assert.ok(!("WA_URL" in real) && !("WA_ROOT_KEY" in real));
});
