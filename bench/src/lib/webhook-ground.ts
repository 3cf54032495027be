/** Companies with webhooks, an endpoint that takes everything, and a notifier. */
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type CompanyId,
  EVENTS_MAX_AGE_MS,
  EVENTS_STREAM,
  makeEvent,
  messageReceived,
  newChatId,
  newMessageId,
  newNumberId,
  newSubscriptionId,
  parseCompanyId,
  streamSubjects,
} from "@manyline/contracts";
import { newWebhookSecret } from "@manyline/contracts/webhooks";
import {
  addSubscription,
  appendEvents,
  createCompany,
  type Database,
  EventRelay,
  inTransaction,
  openDatabase,
  withCompany,
} from "@manyline/db";
import { openTestDatabase, TEST_KEKS, type OpenTestDatabase } from "@manyline/db/testing";
import { createBus, createSilentLogger } from "@manyline/runtime";
import {
  freePort,
  type NatsServer,
  type PostgresServer,
  startNats,
  startPostgres,
  until,
} from "@manyline/testkit";
import { Client } from "pg";
import { BenchProcess } from "./child-process.ts";
import { POSTGRES } from "./ground.ts";

const SERVICE = join(import.meta.dirname, "../../../services/notifier");

export type Customer = {
  companyNo: number;
  companyId: CompanyId;
  subscriptionId: string;
  /** Of the chat, its last `seq`. */
  chats: Map<string, number>;
};

/** An endpoint in this process: it says when each id came first. */
export class Endpoint implements AsyncDisposable {
  readonly url: string;
  readonly arrived = new Map<string, number>();
  /** ms until it answers. */
  delayMs = 0;
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/in`;
  }

  static async start(): Promise<Endpoint> {
    const server = createServer();
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const endpoint = new Endpoint(server);
    server.on("request", (request, response) => {
      const id = String(request.headers["webhook-id"]);
      request.resume();
      request.once("end", () => {
        if (!endpoint.arrived.has(id)) endpoint.arrived.set(id, performance.now());
        if (endpoint.delayMs > 0) setTimeout(() => response.end(), endpoint.delayMs);
        else response.end();
      });
    });
    return endpoint;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}

export class WebhookGround implements AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly database: OpenTestDatabase;
  readonly client: Client;
  readonly #nats: NatsServer;
  readonly #app: Database;
  readonly #platform: Database;
  readonly #relay: EventRelay;
  readonly #kept: AsyncDisposableStack;

  private constructor(
    parts: {
      postgres: PostgresServer;
      database: OpenTestDatabase;
      client: Client;
      nats: NatsServer;
      app: Database;
      platform: Database;
      relay: EventRelay;
    },
    kept: AsyncDisposableStack,
  ) {
    this.postgres = parts.postgres;
    this.database = parts.database;
    this.client = parts.client;
    this.#nats = parts.nats;
    this.#app = parts.app;
    this.#platform = parts.platform;
    this.#relay = parts.relay;
    this.#kept = kept;
  }

  static async open(): Promise<WebhookGround> {
    await using kept = new AsyncDisposableStack();
    const postgres = kept.use(await startPostgres({ isDurable: true, settings: POSTGRES }));
    const nats = kept.use(await startNats());
    const database = await openTestDatabase({ server: postgres });
    kept.defer(() => database.stop());
    const client = new Client({ connectionString: database.superuserUrl });
    await client.connect();
    kept.defer(() => client.end());
    const open = (role: "app" | "platform" | "relay"): Database =>
      kept.use(openDatabase({ url: database.urls[role], role, applicationName: "bench" }));
    const logger = createSilentLogger();
    const bus = createBus({ servers: [nats.url], name: "bench", logger });
    kept.defer(() => bus.close());
    bus.declareStream({
      name: EVENTS_STREAM,
      subjects: streamSubjects(),
      maxAgeMs: EVENTS_MAX_AGE_MS,
      maxBytes: -1,
      replicas: 1,
    });
    await until(() => bus.connected, { label: "NATS" });
    const relay = new EventRelay({
      db: open("relay"),
      logger,
      publisher: {
        publish: (subject, bytes, msgId) => bus.publish(subject, bytes, { msgId }),
        streamState: () => bus.streamState(EVENTS_STREAM),
      },
    });
    kept.defer(() => relay.stop());
    const parts = { postgres, nats, database, client, relay };
    const roles = { app: open("app"), platform: open("platform") };
    return new WebhookGround({ ...parts, ...roles }, kept.move());
  }

  async startNotifier(): Promise<BenchProcess> {
    const folder = await mkdtemp(join(tmpdir(), "manyline-bench-"));
    this.#kept.defer(() => rm(folder, { recursive: true, force: true }));
    const port = await freePort();
    const { urls } = this.database;
    const notifier = await BenchProcess.start({
      name: "notifier",
      cwd: SERVICE,
      args: ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
      env: {
        DATABASE_NOTIFY_URL: urls.notify,
        DATABASE_RELAY_URL: urls.relay,
        NATS_URL: this.#nats.url,
        MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
        HANDLER_OPEN_ADDRESSES: "127.0.0.1",
        PORT: String(port),
        LOG_LEVEL: "warn",
      },
      logFile: join(folder, "notifier.log"),
      isReady: async () =>
        (await fetch(`http://127.0.0.1:${port}/health/ready`).catch(() => undefined))?.status ===
        200,
    });
    this.#kept.use(notifier);
    return notifier;
  }

  /** A company whose messages go to this address. */
  async addCustomer(name: string, url: string, chats: number): Promise<Customer> {
    const companyId = parseCompanyId(name);
    if (companyId === undefined) throw new Error(`${name} is no id`);
    const { keyring } = this.database;
    const { companyNo } = await inTransaction(this.#platform, (tx) =>
      createCompany(tx, keyring, {
        companyId,
        name,
        country: null,
        phone: null,
        adminEmail: null,
        notificationEmail: null,
        timezone: "UTC",
        language: "en",
        whatsappEnabled: true,
        whatsappConfig: {},
      }),
    );
    const subscriptionId = newSubscriptionId();
    const input = { subscriptionId, url, events: ["message.*"], headers: {} };
    await withCompany(this.#app, companyNo, (tx) =>
      addSubscription(tx, keyring, companyNo, { ...input, secret: newWebhookSecret() }, 20),
    );
    const names = Array.from({ length: chats }, () => [newChatId() as string, 0] as const);
    return { companyNo, companyId, subscriptionId, chats: new Map(names) };
  }

  /** Commits messages, one of the next chat each, and publishes them. The ids, and when they were committed. */
  async write(customers: readonly Customer[]): Promise<{ ids: string[]; at: number }> {
    const events = customers.map((customer) => ({
      companyNo: customer.companyNo,
      numberNo: null,
      event: messageOf(customer),
    }));
    const stored = await inTransaction(this.#platform, (tx) => appendEvents(tx, events));
    const at = performance.now();
    this.#relay.publish(stored);
    return { ids: events.map(({ event }) => event.envelope.id), at };
  }

  /** Queues so many deliveries for a company, as if its endpoint had been away. */
  async fill({ companyNo, subscriptionId, companyId }: Customer, count: number): Promise<void> {
    const { envelope, natsSubject } = messageOf({
      companyNo,
      companyId,
      subscriptionId,
      chats: new Map([[newChatId() as string, 0]]),
    });
    await this.client.query(
      // Of three days ago: what is younger the relay publishes.
      `insert into whatsapp_events (company_no, event_id, type, subject, envelope, created_at)
        select $1, 'evt_filled' || n, $2, $3, $4, now() - interval '3 days' from generate_series(1, $5::int) n`,
      [companyNo, envelope.type, natsSubject, JSON.stringify(envelope), count],
    );
    await this.client.query(
      `insert into deliveries (company_no, subscription_id, event_id, type, chat, seq)
        select $1, $2, 'evt_filled' || n, $3, 'cht_' || (n % 1000), n from generate_series(1, $4::int) n`,
      [companyNo, subscriptionId, envelope.type, count],
    );
    await this.client.query("analyze deliveries, whatsapp_events");
  }

  async waiting({ subscriptionId }: Customer): Promise<number> {
    const { rows } = await this.client.query<{ count: number }>(
      "select count(*)::int as count from deliveries where subscription_id = $1 and state = 'waiting'",
      [subscriptionId],
    );
    return rows[0]?.count ?? 0;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#kept.disposeAsync();
  }
}

function messageOf({ companyId, chats }: Customer) {
  const [next] = chats;
  if (!next) throw new Error("there are no chats");
  const [chat, last] = next;
  // In turn: whoever was taken goes to the end.
  chats.delete(chat);
  chats.set(chat, last + 1);
  const from = {
    contactId: null,
    phone: null,
    lid: null,
    userId: null,
    username: null,
    name: null,
  };
  return makeEvent(
    messageReceived,
    { companyId, numberId: newNumberId() },
    {
      messageId: newMessageId(),
      providerMessageId: newMessageId(),
      provider: "linked",
      chat: { id: chat, type: "direct", contactId: null, phone: null, name: null },
      from,
      type: "text",
      text: "x".repeat(200),
      media: null,
      context: null,
      at: new Date().toISOString(),
    },
    { service: "bench", at: new Date(), seq: last + 1 },
  );
}
