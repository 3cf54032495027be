import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { describeConfig, envTable } from "@manyline/runtime";
import { buildConfig, envToConfig } from "./config.ts";

const GOOD = {
  DATABASE_WORKER_URL: "postgres://u:p@h/d",
  DATABASE_RELAY_URL: "postgres://u:p@h/d",
  NATS_URL: "nats://h:4222",
  MANYLINE_KEK: "k:AAAA",
};

it("the README's table is what the code reads", () => {
  const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(envTable(describeConfig(buildConfig))));
});

it("lists every mistake at once, and shows no secret", () => {
  assert.throws(
    () =>
      envToConfig({
        ...GOOD,
        NATS_URL: "http://x",
        HEALTH_PORT: "99999",
        OPEN_LIMIT: "0",
        WA_URL: "ws://x",
      }),
    (error: Error) => {
      for (const name of ["NATS_URL", "HEALTH_PORT", "OPEN_LIMIT", "WA_ROOT_KEY"]) {
        assert.ok(error.message.includes(name), name);
      }
      return !error.message.includes("AAAA");
    },
  );
});

it("TIME_SCALE is refused with the real WhatsApp", () => {
  assert.throws(() => envToConfig({ ...GOOD, TIME_SCALE: "10" }), /simulators only/);
  assert.equal(envToConfig(GOOD).timeScale, 1);
});
