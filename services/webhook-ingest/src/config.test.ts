import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ConfigError, envTable } from "@manyline/runtime";
import { configTable, envToConfig } from "./config.ts";

const GOOD = {
  DATABASE_INGEST_URL: "postgres://i@127.0.0.1/x",
  DATABASE_RELAY_URL: "postgres://r@127.0.0.1/x",
  NATS_URL: "nats://127.0.0.1:4222",
  MANYLINE_KEK: `k1:${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`,
};

function mistakes(env: Record<string, string | undefined>): string {
  try {
    envToConfig({ ...GOOD, ...env });
  } catch (error) {
    if (error instanceof ConfigError) return error.message;
    throw error;
  }
  return "";
}

test("one app, several while its secret is changed, or none", () => {
  assert.deepEqual(envToConfig(GOOD).meta, { appSecrets: [], verifyToken: undefined });
  const both = envToConfig({
    ...GOOD,
    META_APP_SECRET: "new, old",
    META_VERIFY_TOKEN: "verify-me",
  });
  assert.deepEqual(both.meta, { appSecrets: ["new", "old"], verifyToken: "verify-me" });
  assert.match(mistakes({ META_APP_SECRET: "alone" }), /belong together/);
  const short = mistakes({ META_APP_SECRET: "s3cret", META_VERIFY_TOKEN: "short" });
  assert.match(short, /META_VERIFY_TOKEN must have at least 8 characters/);
  assert.doesNotMatch(short, /s3cret/);
});

test("the README's table is the configuration", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(envTable(configTable())), envTable(configTable()));
});
