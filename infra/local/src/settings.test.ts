import assert from "node:assert/strict";
import { test } from "node:test";
import { readSettings } from "./settings.ts";

test("ports have defaults and can be moved one by one", () => {
  const { ports } = readSettings({ POSTGRES_PORT: "15432", GATEWAY_PORT: "" });
  assert.equal(ports.postgres, 15_432);
  assert.equal(ports.gateway, 3000);
});

test("a wrong port is named with its value", () => {
  for (const value of ["0", "70000", "http", "3.5"]) {
    assert.throws(() => readSettings({ NATS_PORT: value }), new RegExp(`NATS_PORT .*"${value}"`));
  }
  assert.throws(() => readSettings({ NATS_PORT: "3000" }), /same port/);
});

test("a wrong server URL is named, but not shown: it may hold a password", () => {
  assert.throws(
    () => readSettings({ DATABASE_URL: "mysql://root:hidden@db/x" }),
    (error: unknown) => {
      assert.ok(error instanceof Error);
      assert.match(error.message, /DATABASE_URL/);
      assert.doesNotMatch(error.message, /hidden/);
      return true;
    },
  );
  assert.equal(readSettings({ NATS_URL: "nats://n:4222" }).natsUrl, "nats://n:4222");
});
