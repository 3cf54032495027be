import assert from "node:assert/strict";
import { test } from "node:test";
import { createHealth, startHealthServer } from "./health.ts";

test("ready names each check and bounds it, live asks none", async () => {
  const health = createHealth({
    timeoutMs: 20,
    checks: {
      database: () => Promise.resolve(),
      nats: () => {
        throw new Error("down at nats://user:pw@x");
      },
      redis: () => new Promise(() => undefined),
    },
  });
  assert.deepEqual(await health.ready(), {
    status: "failed",
    checks: { database: "ok", nats: "failed", redis: "timeout" },
  });
  assert.deepEqual(health.live(), { status: "ok", checks: {} });
});

test("changes are told once, with the error", async () => {
  let isDown = false;
  const changes: string[] = [];
  const health = createHealth({
    checks: {
      nats: () => {
        if (isDown) throw new Error("gone");
      },
    },
    onChange: (name, state, error) =>
      changes.push(`${name} ${state} ${error instanceof Error ? error.message : ""}`),
  });
  await health.ready();
  isDown = true;
  await health.ready();
  await health.ready();
  isDown = false;
  await health.ready();
  assert.deepEqual(changes, ["nats failed gone", "nats ok "]);
});

test("the server answers live, ready and metrics", async () => {
  let isDown = false;
  const health = createHealth({
    checks: {
      database: () => {
        if (isDown) throw new Error("secret detail");
      },
    },
  });
  await using server = await startHealthServer({
    port: 0,
    host: "127.0.0.1",
    health,
    metricsText: () => "up 1\n",
  });
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`);
    return { status: response.status, text: await response.text() };
  };
  assert.deepEqual(await get("/health/live"), { status: 200, text: '{"status":"ok","checks":{}}' });
  assert.equal((await get("/health/ready")).status, 200);
  assert.deepEqual(await get("/metrics?x=1"), { status: 200, text: "up 1\n" });
  assert.equal((await get("/else")).status, 404);
  isDown = true;
  assert.deepEqual(await get("/health/ready"), {
    status: 503,
    text: '{"status":"failed","checks":{"database":"failed"}}',
  });
  assert.equal((await get("/health/live")).status, 200);
});

test("a stopping process is live and not ready", async () => {
  const health = createHealth({ checks: {} });
  assert.equal((await health.ready()).status, "ok");
  health.markStopping();
  assert.equal((await health.ready()).status, "failed");
  assert.equal(health.live().status, "ok");
});

test("a port in use rejects", async () => {
  const health = createHealth({ checks: {} });
  const options = { host: "127.0.0.1", health, metricsText: () => "" };
  await using first = await startHealthServer({ port: 0, ...options });
  await assert.rejects(startHealthServer({ port: first.port, ...options }), { code: "EADDRINUSE" });
});
