import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { ConfigError, envTable } from "@manyline/runtime";
import { configTable, envToConfig } from "./config.ts";

const GOOD = {
  DATABASE_APP_URL: "postgres://a@127.0.0.1/x",
  DATABASE_PLATFORM_URL: "postgres://p@127.0.0.1/x",
  DATABASE_RELAY_URL: "postgres://r@127.0.0.1/x",
  NATS_URL: "nats://127.0.0.1:4222",
  MANYLINE_KEK: `k1:${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`,
  ADMIN_TOKEN: "0123456789abcdef0123456789abcdef",
  PUBLIC_URL: "https://wa.example.com/",
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

test("defaults", () => {
  const config = envToConfig(GOOD);
  assert.equal(config.http.port, 3000);
  assert.equal(config.http.host, "127.0.0.1");
  assert.equal(config.http.publicUrl, "https://wa.example.com");
  assert.equal(config.timeScale, 1);
  assert.equal(config.redisUrl, undefined);
});

test("what protects a secret has no default and is checked; secrets are not shown", () => {
  const missing = mistakes({ ADMIN_TOKEN: "", MANYLINE_KEK: undefined, DATABASE_APP_URL: "" });
  for (const name of ["ADMIN_TOKEN", "MANYLINE_KEK", "DATABASE_APP_URL"]) {
    assert.match(missing, new RegExp(`${name} is required`));
  }
  const short = mistakes({ ADMIN_TOKEN: "short-secret" });
  assert.match(short, /ADMIN_TOKEN must have at least 32 characters/);
  assert.doesNotMatch(short, /short-secret/);
  const zeros = `k1:${Buffer.alloc(32).toString("base64")}`;
  assert.match(mistakes({ MANYLINE_KEK: zeros }), /MANYLINE_KEK/);
});

test("time is not shortened for the real WhatsApp", () => {
  assert.match(mistakes({ TIME_SCALE: "60", REAL_WHATSAPP: "1" }), /TIME_SCALE must be 1/);
  assert.equal(mistakes({ TIME_SCALE: "60" }), "");
  assert.equal(mistakes({ REAL_WHATSAPP: "1" }), "");
});

test("the README's table is the configuration", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(envTable(configTable())), envTable(configTable()));
});
