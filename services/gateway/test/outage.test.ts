import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startPostgres, until } from "@manyline/testkit";
import type { PostgresServer } from "@manyline/testkit";
import { Owner } from "./owner.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

let server: PostgresServer;
let world: World;
let company: TestCompany;
before(async () => {
  server = await startPostgres();
  world = await openWorld({ server });
  company = await addCompany(world);
  await addNumber(world, company);
});
after(async () => {
  await world[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const status = () =>
  call(world, "GET", `/api/whatsapp/sessions/${company.id}/status`, { token: company.token });

test("Redis down: everything works", async () => {
  await world.redis.stop();
  try {
    assert.equal((await status()).status, 200);
    const ready = await call(world, "GET", "/health/ready");
    assert.equal(ready.status, 200);
    assert.deepEqual(ready.body["optional"], { nats: "ok", redis: "failed" });
  } finally {
    await world.redis.start();
  }
});

test("NATS down: everything works, commands by polling", async () => {
  await using owner = await new Owner(world).start(({ verb }) => ({
    state: "done",
    result: verb === "pair_qr" ? { attemptId: `pai_${"0".repeat(32)}` } : {},
  }));
  await world.nats.stop();
  try {
    await until(() => !world.deps.bus.connected, { label: "noticed" });
    const started = await call(world, "POST", `/api/whatsapp/sessions/${company.id}/reconnect`, {
      token: company.token,
    });
    assert.equal(started.status, 202, JSON.stringify(started.body));
    assert.equal(owner.commands.length, 1);
    const changed = await call(world, "PATCH", `/api/whatsapp/companies/${company.id}`, {
      token: company.token,
      body: { name: "Renamed without NATS" },
    });
    assert.equal(changed.status, 200);
    assert.equal((await call(world, "GET", "/health/ready")).status, 200);
  } finally {
    await world.nats.start();
  }
});

test("Postgres down: 503 on all but health and static pages, and back by itself", async () => {
  await server.stop();
  try {
    for (const [method, path] of [
      ["GET", `/api/whatsapp/sessions/${company.id}/status`],
      ["POST", `/api/whatsapp/sessions/${company.id}/pairing-code`],
      ["GET", `/api/whatsapp/sessions/${company.id}/events`],
      ["GET", "/api/whatsapp/companies"],
      ["POST", "/api/whatsapp/link-exchange"],
    ] as const) {
      const body = method === "POST" ? { token: "x" } : undefined;
      const answer = await call(world, method, path, { token: ADMIN_TOKEN, body });
      assert.equal(answer.status, 503, `${method} ${path} ${JSON.stringify(answer.body)}`);
      assert.equal(answer.body["code"], "UNAVAILABLE");
      assert.ok(Number(answer.headers.get("retry-after")) > 0);
    }
    assert.equal((await call(world, "GET", "/health/live")).status, 200);
    assert.equal((await call(world, "GET", "/health/ready")).status, 503);
    assert.equal((await fetch(`${world.url}/whatsapp-pairing.html`)).status, 200);
    assert.equal((await fetch(`${world.url}/docs/`)).status, 200);
  } finally {
    await server.start();
  }
  await until(async () => (await status()).status === 200, { label: "back again" });
});
