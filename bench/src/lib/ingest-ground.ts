/** Companies with Meta numbers, their webhooks, and the programs that take them. */
import { createHmac } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { newNumberId } from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  inTransaction,
  openDatabase,
  setMetaNumber,
} from "@manyline/db";
import { openTestDatabase, TEST_KEKS, type OpenTestDatabase } from "@manyline/db/testing";
import {
  freePort,
  type NatsServer,
  type PostgresServer,
  startNats,
  startPostgres,
} from "@manyline/testkit";
import { Client } from "pg";
import { BenchProcess } from "./child-process.ts";
import { POSTGRES } from "./ground.ts";
import { rawPost } from "./http-load.ts";

const SERVICE = join(import.meta.dirname, "../../../services/webhook-ingest");
const SECRET = "the-secret-of-a-bench-and-of-nobody-else";
/** Of one webhook. */
export const BODY_BYTES = 1_200;
const PEOPLE = 200;
/** Connections of the program that inserts each body for itself. */
const INSERT_POOL = 32;

export type Taker = { name: string; process: BenchProcess; url: URL };
export type Place = { wabaId: string; phoneNumberId: string };

export class IngestGround implements AsyncDisposable {
  readonly postgres: PostgresServer;
  readonly nats: NatsServer;
  readonly database: OpenTestDatabase;
  readonly client: Client;
  readonly #folder: string;
  readonly #kept: AsyncDisposableStack;
  #places: Place[] = [];
  #made = 0;

  private constructor(
    parts: Pick<IngestGround, "postgres" | "nats" | "database" | "client">,
    folder: string,
    kept: AsyncDisposableStack,
  ) {
    this.postgres = parts.postgres;
    this.nats = parts.nats;
    this.database = parts.database;
    this.client = parts.client;
    this.#folder = folder;
    this.#kept = kept;
  }

  static async open(numbers: number): Promise<IngestGround> {
    await using kept = new AsyncDisposableStack();
    const folder = await mkdtemp(join(tmpdir(), "manyline-bench-"));
    kept.defer(() => rm(folder, { recursive: true, force: true }));
    const postgres = kept.use(await startPostgres({ isDurable: true, settings: POSTGRES }));
    const nats = kept.use(await startNats());
    const database = await openTestDatabase({ server: postgres });
    kept.defer(() => database.stop());
    const client = new Client({ connectionString: database.superuserUrl });
    await client.connect();
    kept.defer(() => client.end());
    await client.query(`create table bench_webhooks (no bigint generated always as identity primary key,
      at timestamptz not null default clock_timestamp(), body bytea not null)`);
    const parts = { postgres, nats, database, client };
    const ground = new IngestGround(parts, folder, kept.move());
    await ground.#register(numbers);
    return ground;
  }

  /** Each number is of a company and an account of its own, and confirmed. */
  async #register(numbers: number): Promise<void> {
    const { database, client } = this;
    await using platform = openDatabase({ url: database.urls.platform, applicationName: "bench" });
    for (let place = 0; place < numbers; place += 1) {
      const companyId = `bench-${place}`;
      const ids = { wabaId: `80000000${place}`, phoneNumberId: `90000000${place}` };
      await inTransaction(platform, async (tx) => {
        const { companyNo } = await createCompany(tx, database.keyring, {
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
        });
        const number = await createNumber(tx, companyNo, {
          numberId: newNumberId(),
          provider: "meta",
          phone: null,
          name: null,
          maxNumbers: 500,
        });
        await setMetaNumber(tx, database.keyring, number, ids);
      });
      this.#places.push(ids);
    }
    await client.query("update numbers set is_active = true");
  }

  async startIngest(): Promise<Taker> {
    const { urls } = this.database;
    return this.#start("webhook-ingest", SERVICE, "src/main.ts", "/health/ready", {
      DATABASE_INGEST_URL: urls.ingest,
      DATABASE_RELAY_URL: urls.relay,
      NATS_URL: this.nats.url,
      MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(),
      META_APP_SECRET: SECRET,
      META_VERIFY_TOKEN: "verify-token-of-a-bench",
    });
  }

  /** `inserts`: each body is committed by itself. */
  async startBare(inserts: boolean): Promise<Taker> {
    const name = inserts ? "Fastify, HMAC, one insert each" : "Fastify, HMAC";
    return this.#start(name, import.meta.dirname, "bare-ingest-main.ts", "/health", {
      SECRET,
      ...(inserts ? { DATABASE_URL: this.database.superuserUrl, POOL: String(INSERT_POOL) } : {}),
    });
  }

  async #start(
    name: string,
    cwd: string,
    entry: string,
    health: string,
    env: Record<string, string>,
  ): Promise<Taker> {
    const port = await freePort();
    const url = new URL(`http://127.0.0.1:${port}/webhooks/meta`);
    const args = entry.startsWith("src/") ? ["--import", "@manyline/runtime/telemetry"] : [];
    const process = await BenchProcess.start({
      name,
      cwd,
      args: [...args, entry],
      env: { ...env, PORT: String(port), LOG_LEVEL: "warn" },
      logFile: join(this.#folder, `${port}.log`),
      isReady: async () =>
        (await fetch(new URL(health, url)).catch(() => undefined))?.status === 200,
    });
    this.#kept.use(process);
    return { name, process, url };
  }

  /** Signed webhooks with one text each, ready to be sent; every id exists once. */
  webhooks(count: number, url: URL): { ids: string[]; requests: Buffer[] } {
    const ids: string[] = [];
    const requests: Buffer[] = [];
    for (let index = 0; index < count; index += 1) {
      this.#made += 1;
      const place = this.#places[this.#made % this.#places.length];
      if (!place) throw new Error("there are no numbers");
      const id = `wamid.BENCH.${this.#made}`;
      const body = bodyOf(place, id, this.#made);
      const hmac = createHmac("sha256", SECRET).update(body).digest("hex");
      const headers = {
        "content-type": "application/json",
        "x-hub-signature-256": `sha256=${hmac}`,
      };
      ids.push(id);
      requests.push(rawPost(url, headers, body));
    }
    return { ids, requests };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#kept.disposeAsync();
  }
}

function bodyOf({ wabaId, phoneNumberId }: Place, id: string, serial: number): Buffer {
  const from = `4917000${String(serial % PEOPLE).padStart(5, "0")}`;
  const write = (text: string): Buffer =>
    Buffer.from(
      JSON.stringify({
        object: "whatsapp_business_account",
        entry: [
          {
            id: wabaId,
            changes: [
              {
                field: "messages",
                value: {
                  messaging_product: "whatsapp",
                  metadata: {
                    display_phone_number: "15550100001",
                    phone_number_id: phoneNumberId,
                  },
                  contacts: [{ profile: { name: `Person ${from.slice(-4)}` }, wa_id: from }],
                  messages: [
                    {
                      from,
                      id,
                      timestamp: String(Math.floor(Date.now() / 1_000)),
                      type: "text",
                      text: { body: text },
                    },
                  ],
                },
              },
            ],
          },
        ],
      }),
    );
  return write("x".repeat(Math.max(1, BODY_BYTES - write("").length)));
}
