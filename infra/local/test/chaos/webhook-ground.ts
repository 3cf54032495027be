/** webhook-ingest as a process of its own between the simulated Meta and a subscriber; its servers can be killed. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { EVENTS_STREAM, newNumberId, parseEvent, type Envelope } from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  type Database,
  inTransaction,
  openDatabase,
  setMetaNumber,
  withCompany,
} from "@manyline/db";
import {
  asSuperuser,
  openTestDatabase,
  TEST_KEKS,
  type OpenTestDatabase,
} from "@manyline/db/testing";
import { createBus, createSilentLogger } from "@manyline/runtime";
import {
  type BusinessNumber,
  type MetaSimulator,
  startMetaSimulator,
} from "@manyline/simulators/meta";
import {
  freePort,
  type NatsServer,
  type PostgresServer,
  startNats,
  startPostgres,
  until,
} from "@manyline/testkit";

const SERVICE = new URL("../../../../services/webhook-ingest", import.meta.url).pathname;
const SECRET = "secret-of-the-app-of-all";
const VERIFY_TOKEN = "verify-token-of-all";

/** `companyId` null: nobody has registered the number. */
export type Line = { number: BusinessNumber; companyId: string | null; companyNo: number };

export type GroundOptions = { companies: number; numbersEach: number; logs: string | undefined };

export class WebhookGround implements AsyncDisposable {
  readonly lines: Line[] = [];
  /** What a subscriber has got, each event id once. */
  readonly seen: Envelope[] = [];
  /** Events that came to the subscriber again under their id. */
  repeats = 0;
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly meta: MetaSimulator;
  readonly database: OpenTestDatabase;
  readonly #port: number;
  readonly #log: string;
  readonly #kept = new AsyncDisposableStack();
  #child: ChildProcess | undefined;

  private constructor(parts: {
    postgres: PostgresServer;
    nats: NatsServer;
    meta: MetaSimulator;
    database: OpenTestDatabase;
    port: number;
    log: string;
  }) {
    this.postgres = parts.postgres;
    this.nats = parts.nats;
    this.meta = parts.meta;
    this.database = parts.database;
    this.#port = parts.port;
    this.#log = parts.log;
  }

  static async open({ companies, numbersEach, logs }: GroundOptions): Promise<WebhookGround> {
    await using kept = new AsyncDisposableStack();
    const folder = logs ?? (await mkdtemp(join(tmpdir(), "manyline-webhooks-")));
    await mkdir(folder, { recursive: true });
    const postgres = kept.use(await startPostgres());
    const nats = kept.use(await startNats());
    const database = await openTestDatabase({ server: postgres });
    kept.defer(() => database.stop());
    const port = await freePort();
    const deliveries = {
      duplicates: 0.3,
      isShuffled: true,
      most: 20,
      gatherMs: 20,
      retryMs: 50,
      retryMostMs: 500,
      timeoutMs: 5_000,
    };
    const meta = kept.use(await startMetaSimulator({ deliveries }));
    const log = join(folder, "webhook-ingest.log");
    const ground = new WebhookGround({ postgres, nats, meta, database, port, log });
    ground.#kept.use(kept.move());
    await ground.#register(companies, numbersEach);
    ground.#subscribe();
    await ground.startIngest();
    return ground;
  }

  async #register(companies: number, numbersEach: number): Promise<void> {
    const { meta, database } = this;
    const callbackUrl = `http://127.0.0.1:${this.#port}/webhooks/meta`;
    const app = meta.world.addApp({ secret: SECRET, verifyToken: VERIFY_TOKEN, callbackUrl });
    const open = (role: "app" | "platform"): Database =>
      openDatabase({ url: database.urls[role], role, applicationName: "chaos", poolSize: 2 });
    await using platform = open("platform");
    await using own = open("app");
    for (let place = 0; place < companies; place += 1) {
      const companyId = `chaos-${place}`;
      const { companyNo } = await inTransaction(platform, (tx) =>
        createCompany(tx, database.keyring, {
          companyId,
          name: companyId,
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
      for (let nth = 0; nth < numbersEach; nth += 1) {
        const { number, waba } = meta.world.addLine({ appId: app.id });
        const row = await inTransaction(platform, (tx) =>
          createNumber(tx, companyNo, {
            numberId: newNumberId(),
            provider: "meta",
            phone: null,
            name: null,
            maxNumbers: 500,
          }),
        );
        await withCompany(own, companyNo, (tx) =>
          setMetaNumber(tx, database.keyring, row, { wabaId: waba.id, phoneNumberId: number.id }),
        );
        this.lines.push({ number, companyId, companyNo });
      }
    }
    await asSuperuser(database, "update numbers set is_active = true");
    const { number } = meta.world.addLine({ appId: app.id });
    this.lines.push({ number, companyId: null, companyNo: 0 });
  }

  #subscribe(): void {
    const logger = createSilentLogger();
    const bus = createBus({ servers: [this.nats.url], name: "subscriber", logger });
    this.#kept.defer(() => bus.close());
    const ids = new Set<string>();
    bus.consume({
      stream: EVENTS_STREAM,
      ordered: true,
      handler: ({ data }) => {
        const parsed = parseEvent(JSON.parse(new TextDecoder().decode(data)));
        if (!parsed.ok) throw new Error(parsed.reason);
        const { id } = parsed.envelope;
        if (ids.has(id)) this.repeats += 1;
        else this.seen.push(parsed.envelope);
        ids.add(id);
      },
    });
  }

  /** As it runs in production. Resolves when it answers; without Postgres it is not ready, but answers. */
  async startIngest(): Promise<void> {
    const { urls } = this.database;
    const child = spawn(
      process.execPath,
      ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
      {
        cwd: SERVICE,
        stdio: ["ignore", "pipe", "pipe"],
        env: {
          PATH: process.env["PATH"],
          PORT: String(this.#port),
          DATABASE_INGEST_URL: urls.ingest,
          DATABASE_RELAY_URL: urls.relay,
          NATS_URL: this.nats.url,
          MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
          META_APP_SECRET: SECRET,
          META_VERIFY_TOKEN: VERIFY_TOKEN,
        },
      },
    );
    this.#child = child;
    const file = createWriteStream(this.#log, { flags: "a" });
    child.stdout.pipe(file, { end: false });
    child.stderr.pipe(file, { end: false });
    await until(
      async () =>
        child.exitCode !== null ||
        (await fetch(`http://127.0.0.1:${this.#port}/health/live`)).status === 200,
      { deadlineMs: 30_000, label: "webhook-ingest answers" },
    );
    if (child.exitCode !== null) throw new Error(`webhook-ingest ended, see ${this.#log}`);
  }

  /** SIGKILL, in the middle of whatever it does. */
  async killIngest(): Promise<void> {
    const child = this.#child;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.killIngest();
    await this.#kept.disposeAsync();
  }
}
