import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { envTable } from "@manyline/runtime";
import { configTable, envToConfig } from "./config.ts";

const GOOD = {
  DATABASE_NOTIFY_URL: "postgres://n@127.0.0.1/x",
  DATABASE_RELAY_URL: "postgres://r@127.0.0.1/x",
  NATS_URL: "nats://127.0.0.1:4222",
  MANYLINE_KEK: `k1:${Buffer.from("0123456789abcdef0123456789abcdef").toString("base64")}`,
};

test("addresses that are not public are closed unless somebody opens them", () => {
  assert.deepEqual(envToConfig(GOOD).webhooks.openAddresses, []);
  assert.throws(() => envToConfig({ ...GOOD, HANDLER_OPEN_ADDRESSES: "everything" }), /CIDR/);
});

test("the README's table is the configuration", async () => {
  const readme = await readFile(new URL("../README.md", import.meta.url), "utf8");
  assert.ok(readme.includes(envTable(configTable())), envTable(configTable()));
});
