/**
 * A pairing code reaches the company's people by mail and SMS. Then it and a QR are searched for in everything the system keeps or tells: logs, traces, the stream,
 * Redis, and after their end every column of every table.
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gunzipSync } from "node:zlib";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { reachableDataDir, until } from "@manyline/testkit";
import { Redis } from "ioredis";
import { Client } from "pg";
import { startLocalStack, type LocalStack } from "../src/testing/index.ts";

let stack: LocalStack;
let collector: Server;
const traces: Buffer[] = [];
const secrets: string[] = [];
const COMPANY = "canary";
const PEOPLE = { phone: "79035550009", admin: "owner@canary.example", desk: "desk@canary.example" };
const SESSION = `/api/whatsapp/sessions/${COMPANY}`;

before(async () => {
  collector = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      const body = Buffer.concat(parts);
      traces.push(request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body);
      response.end("{}");
    });
  });
  await new Promise<void>((resolve) => {
    collector.listen(0, "127.0.0.1", resolve);
  });
  const address = collector.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  stack = await startLocalStack({
    // A code lives 12 s: long enough to be told, short enough to be waited for.
    TIME_SCALE: "5",
    LOG_LEVEL: "trace",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
    OTEL_BSP_SCHEDULE_DELAY: "200",
  });
  await pairing();
});
after(async () => {
  await stack[Symbol.asyncDispose]();
  collector.close();
});

/** One code that expires, one that links, one QR that is replaced; all of them noted. */
async function pairing(): Promise<void> {
  const created = await stack.rest("POST", "/api/whatsapp/companies", {
    id: COMPANY,
    name: "Canary",
    language: "ru",
    phone: PEOPLE.phone,
    adminEmail: PEOPLE.admin,
    notificationEmail: PEOPLE.desk,
    whatsappConfig: { smsNotifications: true, smsProvider: "twilio" },
  });
  secrets.push(String(created.body["token"]));
  const phoneNumber = "79035550001";
  const ask = async (): Promise<string> => {
    const { status, body } = await stack.rest("POST", `${SESSION}/pairing-code`, { phoneNumber });
    assert.equal(status, 200, JSON.stringify(body));
    const code = String(body["code"]);
    secrets.push(code, code.replace("-", ""));
    return code;
  };
  const link = await stack.rest("POST", `${SESSION}/pairing-link`, {});
  secrets.push(String(link.body["url"]).split("#")[1] ?? "no token");
  await stack.rest("POST", `${SESSION}/reconnect`, {});
  const qr = await until(
    async () => {
      const { status, body } = await stack.rest("GET", `${SESSION}/qr`);
      return status === 200 ? String(body["qr"]) : undefined;
    },
    { label: "a QR" },
  );
  const [ref, , , secret] = (qr.split("#")[1] ?? "").split(",");
  secrets.push(String(ref), String(secret));
  const told = await ask();
  const askedAt = Date.now();
  arrivals = await until(
    async () => {
      const inbox = await messages();
      const found = [...inbox.mails, ...inbox.texts].filter((one) =>
        `${one.text ?? ""}${one.body ?? ""}`.includes(told),
      );
      return found.length >= 3 ? found : undefined;
    },
    { label: "two mails and an SMS" },
  );
  for (const arrival of arrivals) arrival.tookMs = Date.parse(arrival.at) - askedAt;
  await until(async () => (await attempt())["state"] === "code_expired", {
    label: "expiry",
    deadlineMs: 20_000,
  });
  const code = await ask();
  const typed = await stack.simulator("POST", `/phones/${phoneNumber}/enter-code`, { code });
  assert.equal(typed.status, 200);
  await until(
    async () => (await stack.rest("GET", `${SESSION}/status`)).body["status"] === "connected",
    { label: "connected" },
  );
}
type Message = {
  at: string;
  to: string | string[];
  subject?: string;
  text?: string;
  body?: string;
  tookMs?: number;
};
let arrivals: Message[] = [];

async function messages(): Promise<{ mails: Message[]; texts: Message[] }> {
  const response = await fetch(`http://127.0.0.1:${stack.ports.INBOX}/control/messages`);
  return (await response.json()) as { mails: Message[]; texts: Message[] };
}
async function attempt(): Promise<Record<string, unknown>> {
  return (await stack.rest("GET", `${SESSION}/status`)).body["attempt"] as Record<string, unknown>;
}
function assertClean(text: string, where: string): void {
  assert.ok(text.length > 0, `${where}: nothing to search`);
  for (const [index, secret] of secrets.entries()) {
    assert.ok(secret.length >= 8, `secret ${index} is none`);
    assert.equal(text.includes(secret), false, `secret ${index} is in ${where}`);
  }
}

it("a code is told by mail and SMS within 2 s, in the company's language, to its own people", async () => {
  const told = arrivals.map(({ to }) => String(to)).toSorted();
  assert.deepEqual(told, [`+${PEOPLE.phone}`, PEOPLE.desk, PEOPLE.admin].toSorted());
  for (const { tookMs = Infinity, subject = "", text = "", body = "" } of arrivals) {
    assert.ok(tookMs < 2_000, `${tookMs} ms`);
    assert.match(text + body, /Никому не /);
    for (const secret of secrets) assert.ok(!subject.includes(secret));
  }
  const { status, body: listed } = await stack.rest(
    "GET",
    `/api/whatsapp/companies/${COMPANY}/notifications`,
  );
  assert.equal(status, 200);
  const rows = listed["notifications"] as { kind: string; state: string; address: string }[];
  const sent = rows.filter(({ kind, state }) => kind === "pairing_code" && state === "sent");
  assert.ok(sent.some(({ address }) => address === PEOPLE.desk));
  assertClean(JSON.stringify(listed), "the list of notices");
});

describe("codes, QRs and tokens are nowhere else", () => {
  it("in the logs, at the most talkative level", () => {
    const folder = join(stack.dataFolder, "logs");
    for (const file of readdirSync(folder)) {
      const text = readFileSync(join(folder, file), "utf8");
      if (text.length > 0) assertClean(text, file);
    }
  });

  it("in the traces, which go from the request to the event", async () => {
    await until(() => traces.length > 0, { label: "traces" });
    assertClean(Buffer.concat(traces).toString("latin1"), "traces");
    const bus = createBus({
      servers: [`nats://127.0.0.1:${stack.ports.NATS}`],
      name: "test",
      logger: createSilentLogger(),
    });
    await bus.waitConnected(5_000);
    const state = await bus.streamState("EVENTS");
    const bodies: string[] = [];
    const reader = bus.consume({
      stream: "EVENTS",
      ordered: true,
      handler: ({ data }) => {
        bodies.push(Buffer.from(data).toString());
      },
    });
    await until(() => bodies.length >= state.messageCount, { label: "the stream" });
    await reader.close();
    await bus.close();
    assertClean(bodies.join("\n"), "the stream");
    const issued = bodies.map((body) => JSON.parse(body) as { type: string; traceparent?: string });
    const parent = issued.find(({ type }) => type === "pairing.code_issued")?.traceparent;
    const traceId = parent?.split("-")[1] ?? "";
    assert.match(traceId, /^[0-9a-f]{32}$/, "the event carries its trace");
    const raw = Buffer.from(traceId, "hex");
    const isKnown = (): boolean =>
      traces.some((body) => body.includes(raw) || body.toString().includes(traceId));
    await until(isKnown, { label: "the request's span of that trace" });
  });

  it("in Redis", async () => {
    const redis = new Redis(stack.ports.REDIS, "127.0.0.1");
    const keys = await redis.keys("*");
    const values = await Promise.all(
      keys.map(async (key) => ((await redis.type(key)) === "string" ? redis.get(key) : "")),
    );
    redis.disconnect();
    assert.ok(keys.includes(`whatsapp:session:${COMPANY}`), keys.join());
    assertClean(keys.concat(values.map(String)).join("\n"), "Redis");
  });

  it("in any column of any table", async () => {
    const folder = await reachableDataDir(join(stack.dataFolder, "postgres"));
    const password = readFileSync(`${folder}.password`, "utf8");
    const client = new Client({
      host: "127.0.0.1",
      port: stack.ports.POSTGRES,
      user: "postgres",
      password,
      database: "manyline",
    });
    await client.connect();
    const tables = await client.query<{ name: string }>(
      "select format('%I', table_name) as name from information_schema.tables where table_schema = 'public' and table_type = 'BASE TABLE'",
    );
    const texts: string[] = [];
    for (const { name } of tables.rows) {
      const rows = await client.query<{ row: string }>(`select t::text as row from ${name} t`);
      // Bytes are shown in hex: what is sealed must not be the text in another spelling either.
      for (const { row } of rows.rows) {
        texts.push(row);
        for (const [hex] of row.matchAll(/[0-9a-f]{16,}/g))
          texts.push(Buffer.from(hex, "hex").toString("latin1"));
      }
    }
    await client.end();
    assert.ok(tables.rows.length > 15);
    assertClean(texts.join("\n"), "the database");
  });
});
