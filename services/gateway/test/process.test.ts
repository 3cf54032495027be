import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { TEST_KEKS } from "@manyline/db/testing";
import { freePort, until } from "@manyline/testkit";
import { Owner } from "./owner.ts";
import { SseReader } from "./sse-reader.ts";
import { ADMIN_TOKEN, addCompany, call, openPage, openWorld } from "./support.ts";
import type { World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

type Running = { child: ChildProcess; url: string; output: () => string };

/** The gateway as it runs in production: its own process, telemetry loaded before it. */
async function start(env: Record<string, string> = {}): Promise<Running> {
  const port = await freePort();
  const { urls } = world.database;
  const child = spawn(
    process.execPath,
    ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
    {
      cwd: new URL("..", import.meta.url),
      env: {
        PATH: process.env["PATH"],
        OTEL_SERVICE_NAME: "gateway",
        PORT: String(port),
        DATABASE_APP_URL: urls.app,
        DATABASE_PLATFORM_URL: urls.platform,
        DATABASE_RELAY_URL: urls.relay,
        NATS_URL: world.nats.url,
        REDIS_URL: world.redis.url,
        MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
        ADMIN_TOKEN,
        PUBLIC_URL: `http://127.0.0.1:${port}`,
        LOG_LEVEL: "debug",
        ...env,
      },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output += chunk.toString();
    });
  }
  return { child, url: `http://127.0.0.1:${port}`, output: () => output };
}

test("a process: starts, traces a request into its command, logs nothing secret, stops on SIGTERM", async () => {
  const { child, url, output } = await start();
  try {
    await until(async () => (await fetch(`${url}/health/ready`)).status === 200, {
      label: "ready",
    });
    const there = { ...world, url };
    const company = await addCompany(there);
    await using owner = await new Owner(world).start(() => ({
      state: "failed",
      error: { code: "PAIRING_CODE_FAILED" },
    }));
    const traceId = "4bf92f3577b34da6a3ce929d0e0e4736";
    const asked = await call(there, "POST", `/api/whatsapp/sessions/${company.id}/pairing-code`, {
      token: company.token,
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
      body: { phoneNumber: "+79001234567" },
    });
    assert.equal(asked.status, 502);
    assert.match(owner.commands[0]?.traceparent ?? "", new RegExp(`^00-${traceId}-`));
    const cookie = await openPage(there, company);
    const events = `${url}/api/whatsapp/sessions/${company.id}/events`;
    await using stream = await SseReader.open(events, { cookie });
    await stream.next("snapshot");

    const metrics = await (await fetch(`${url}/metrics`)).text();
    assert.match(
      metrics,
      /http_server_request_duration_seconds_count\{[^}]*route="[^"]*pairing-code"/,
    );
    assert.doesNotMatch(metrics, new RegExp(company.id));

    child.kill("SIGTERM");
    const [code] = (await once(child, "exit")) as [number | null];
    assert.equal(code, 0, output());
    await until(() => stream.hasEnded);
    assert.ok(!stream.events().includes("ended"), "its reader shall come again");

    const lines = output().trim().split("\n");
    const parsed = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    const request = parsed.find(
      (line) => line["event"] === "request.done" && String(line["route"]).endsWith("/pairing-code"),
    );
    assert.equal(request?.["status"], 502);
    assert.equal(request["company_id"], company.id);
    assert.equal(request["error_code"], "PAIRING_CODE_FAILED");
    assert.equal(request["trace_id"], traceId);
    const secret = cookie.split("=")[1] ?? "none";
    for (const hidden of [ADMIN_TOKEN, company.token, secret, "79001234567"]) {
      assert.ok(!output().includes(hidden), "a secret was logged");
    }
  } finally {
    child.kill("SIGKILL");
  }
});

test("a process refuses a wrong configuration with every mistake at once", async () => {
  const { child, output } = await start({ ADMIN_TOKEN: "short", TIME_SCALE: "fast" });
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 1);
  assert.match(output(), /ADMIN_TOKEN must have/);
  assert.match(output(), /TIME_SCALE must be/);
});
