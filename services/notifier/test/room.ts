/** A real notifier over real servers, a company with webhooks, and endpoints that do what a test wants. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { randomBytes } from "node:crypto";
import {
  companyUpdated,
  EVENTS_MAX_AGE_MS,
  EVENTS_STREAM,
  makeEvent,
  messageReceived,
  newMessageId,
  newNumberId,
  newSubscriptionId,
  parseCompanyId,
  streamSubjects,
  type CompanyId,
} from "@manyline/contracts";
import { newWebhookSecret } from "@manyline/contracts/webhooks";
import {
  addSubscription,
  appendEvents,
  type CompanyInput,
  createCompany,
  type Database,
  type DeliveryRow,
  inTransaction,
  listDeliveries,
  openDatabase,
  type QueueKey,
  withCompany,
} from "@manyline/db";
import { openTestDatabase, TEST_KEKS, type OpenTestDatabase } from "@manyline/db/testing";
import { createSilentLogger, runService, type ServiceScope } from "@manyline/runtime";
import { freePort, startNats, until, type NatsServer } from "@manyline/testkit";
import { buildDeps, envToConfig, startNotifier, type Deps } from "../src/index.ts";

export type Room = AsyncDisposable & {
  url: string;
  deps: Deps;
  database: OpenTestDatabase;
  app: Database;
  platform: Database;
  nats: NatsServer;
  env: Record<string, string>;
};

/** One more notifier over the same servers. */
export async function startOne(
  env: Record<string, string>,
): Promise<{ url: string; deps: Deps; stop: () => Promise<void> }> {
  const logger = createSilentLogger();
  const deps = buildDeps(envToConfig(env), logger);
  let url = "";
  const service = await runService({
    name: "notifier",
    logger,
    start: async (scope) => {
      url = (await startNotifier(deps, scope)).url;
    },
  });
  if (service.state !== "RUNNING") throw new Error("notifier did not start");
  await untilReady(url);
  return { url, deps, stop: () => service.stop() };
}

/** `isBare`: no notifier of its own; the test starts processes. */
export async function openRoom(
  more: Record<string, string> = {},
  { isBare = false } = {},
): Promise<Room> {
  const [database, nats] = await Promise.all([openTestDatabase(), startNats()]);
  const env: Record<string, string> = {
    PORT: "0",
    DATABASE_NOTIFY_URL: database.urls.notify,
    DATABASE_RELAY_URL: database.urls.relay,
    NATS_URL: nats.url,
    MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
    HANDLER_OPEN_ADDRESSES: "127.0.0.1",
    WEBHOOK_TIMEOUT_MS: "1000",
    WEBHOOK_SWEEP_MS: "100",
    ...more,
  };
  const logger = createSilentLogger();
  const deps = buildDeps(envToConfig(env), logger);
  let url = "";
  const service = await runService({
    name: "notifier",
    logger,
    start: async (scope) => {
      if (!isBare) url = (await startNotifier(deps, scope)).url;
      else declareEvents(deps, scope);
    },
  });
  if (service.state !== "RUNNING") throw new Error("notifier did not start");
  const open = (role: "app" | "platform"): Database =>
    openDatabase({ url: database.urls[role], role, applicationName: "test", poolSize: 4 });
  const [app, platform] = [open("app"), open("platform")];
  if (!isBare) await untilReady(url);
  return {
    url,
    deps,
    database,
    app,
    platform,
    nats,
    env,
    [Symbol.asyncDispose]: async () => {
      await service.stop();
      await Promise.all([app.stop(), platform.stop()]);
      await nats[Symbol.asyncDispose]();
      await database.stop();
    },
  };
}

/** What publishes the events of `happen` and `write`. */
function declareEvents({ bus, relay, db, relayDb, noticesDb }: Deps, scope: ServiceScope): void {
  scope.defer("databases", () => Promise.all([db.stop(), relayDb.stop(), noticesDb.stop()]));
  scope.defer("bus", () => bus.close());
  bus.declareStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: EVENTS_MAX_AGE_MS,
    maxBytes: -1,
    replicas: 1,
  });
  scope.defer("relay", () => relay.stop());
}

const untilReady = (url: string) =>
  until(async () => (await fetch(`${url}/health/ready`)).status === 200, {
    deadlineMs: 20_000,
    label: "ready",
  });

/** A notifier as it runs in production: its own process, telemetry loaded before it. */
export type Process = { child: ChildProcess; url: string; output: () => string };

export async function spawnNotifier({ env }: Room): Promise<Process> {
  const port = await freePort();
  const child = spawn(
    process.execPath,
    ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
    {
      cwd: new URL("..", import.meta.url),
      env: { ...env, PATH: process.env["PATH"], PORT: String(port), LOG_LEVEL: "debug" },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = `${output}${chunk.toString()}`.slice(-200_000);
    });
  }
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url);
  return { child, url, output: () => output };
}

/** SIGKILL, and it is gone. */
export async function kill({ child }: Process): Promise<void> {
  const gone = once(child, "exit");
  child.kill("SIGKILL");
  await gone;
}

export type Company = { companyNo: number; companyId: CompanyId };

export async function addCompany(
  { platform, deps }: Room,
  more: Partial<CompanyInput> = {},
): Promise<Company> {
  const companyId = parseCompanyId(randomBytes(5).toString("hex"));
  if (companyId === undefined) throw new Error("no id");
  const { companyNo } = await inTransaction(platform, (tx) =>
    createCompany(tx, deps.keyring, {
      companyId,
      name: "Salon",
      country: "RU",
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "Europe/Moscow",
      language: "ru",
      whatsappEnabled: true,
      whatsappConfig: {},
      ...more,
    }),
  );
  return { companyNo, companyId };
}

export type Subscription = QueueKey & { secret: string };

export async function subscribe(
  { app, deps }: Room,
  { companyNo }: Company,
  url: string,
  events: string[] = ["*"],
): Promise<Subscription> {
  const subscriptionId = newSubscriptionId();
  const secret = newWebhookSecret();
  const headers = { authorization: "Bearer customer" };
  await withCompany(app, companyNo, (tx) =>
    addSubscription(
      tx,
      deps.keyring,
      companyNo,
      { subscriptionId, url, events, headers, secret },
      20,
    ),
  );
  return { companyNo, subscriptionId, secret };
}

/** Commits an event and publishes it, as the gateway does. Returns its id. */
export async function happen({ platform, deps }: Room, company: Company): Promise<string> {
  const { companyNo, companyId } = company;
  const event = makeEvent(
    companyUpdated,
    { companyId },
    {
      id: companyId,
      name: "Salon",
      country: "RU",
      language: "ru",
      timezone: "Europe/Moscow",
      whatsappEnabled: true,
      changed: ["name"],
    },
    { service: "test", at: new Date() },
  );
  const stored = await inTransaction(platform, (tx) =>
    appendEvents(tx, [{ companyNo, numberNo: null, event }]),
  );
  deps.relay.publish(stored);
  return event.envelope.id;
}

export type Written = { id: string; chat: string; seq: number };

/** Messages of chats, committed in this order and published in another. */
export async function write(
  { platform, deps }: Room,
  { companyNo, companyId }: Company,
  messages: readonly { chat: string; seq: number }[],
  shuffle: <T>(list: readonly T[]) => T[] = (list) => [...list],
): Promise<Written[]> {
  const events = messages.map(({ chat, seq }) => ({
    companyNo,
    numberNo: null,
    event: makeEvent(
      messageReceived,
      { companyId, numberId: newNumberId() },
      {
        messageId: newMessageId(),
        providerMessageId: randomBytes(10).toString("hex").toUpperCase(),
        provider: "linked",
        chat: { id: chat, type: "direct", contactId: null, phone: null, name: null },
        from: { contactId: null, phone: null, lid: null, userId: null, username: null, name: null },
        type: "text",
        text: "said in confidence",
        media: null,
        context: null,
        at: new Date().toISOString(),
      },
      { service: "test", at: new Date(), seq },
    ),
  }));
  const stored = await inTransaction(platform, (tx) => appendEvents(tx, events));
  deps.relay.publish(shuffle(stored));
  return messages.map((message, index) => ({
    ...message,
    id: events[index]?.event.envelope.id ?? "",
  }));
}

export function deliveriesOf({ app }: Room, key: QueueKey): Promise<DeliveryRow[]> {
  return withCompany(app, key.companyNo, (tx) => listDeliveries(tx, key, { limit: 1_000 }));
}

export type Call = { headers: IncomingMessage["headers"]; body: string; at: number };

/** A customer's server; `answer` may be changed at any time. */
export async function startEndpoint(
  answer: (response: ServerResponse, call: Call) => void = (response) => response.end(),
): Promise<AsyncDisposable & { url: string; calls: Call[]; answer: typeof answer; port: number }> {
  const calls: Call[] = [];
  const endpoint = { answer };
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const body = Buffer.concat(chunks).toString();
      const call = { headers: request.headers, body, at: performance.now() };
      calls.push(call);
      endpoint.answer(response, call);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.assign(endpoint, {
    url: `http://127.0.0.1:${port}/in`,
    port,
    calls,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  });
}
