/** Everything that runs, as processes of their own: gateway, worker, webhook-ingest, and the servers of every provider. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TEST_KEKS } from "@manyline/db/testing";
import { type MetaSimulator, startMetaSimulator } from "@manyline/simulators/meta";
import { freePort, until } from "@manyline/testkit";
import { stopWorker } from "./room.ts";
import { WppRoom } from "./wpp-room.ts";

export const ADMIN_TOKEN = "an-admin-token-of-more-than-32-characters";

export class Whole implements AsyncDisposable {
  readonly url: string;
  readonly ingestUrl: string;
  readonly world: WppRoom;
  readonly meta: MetaSimulator;
  readonly #folder: string;
  readonly #services: ChildProcess[] = [];

  private constructor(parts: Pick<Whole, "url" | "ingestUrl" | "world" | "meta">, folder: string) {
    ({ url: this.url, ingestUrl: this.ingestUrl, world: this.world, meta: this.meta } = parts);
    this.#folder = folder;
  }

  /** `more`: for the worker. */
  static async open(more: Record<string, string> = {}): Promise<Whole> {
    const folder = await mkdtemp(join(tmpdir(), "manyline-whole-"));
    const [gateway, ingest] = [await freePort(), await freePort()];
    const [url, ingestUrl] = [`http://127.0.0.1:${gateway}`, `http://127.0.0.1:${ingest}`];
    // One webhook after the other: what comes of a message is told in the order it happens.
    const meta = await startMetaSimulator({
      deliveries: { parallel: 1 },
      sending: { deliverMs: 40, readMs: 40 },
    });
    const app = meta.world.addApp({ callbackUrl: `${ingestUrl}/webhooks/meta` });
    const env = { MEDIA_STORE: folder, PUBLIC_URL: url };
    const world = await WppRoom.open({
      ...env,
      GRAPH_URL: meta.url,
      WPP_WEBHOOK_URL: ingestUrl,
      ...more,
    });
    const whole = new Whole({ url, ingestUrl, world, meta }, folder);
    const { app: appUrl, platform, ingest: db } = world.room.database.urls;
    const databases = { DATABASE_APP_URL: appUrl, DATABASE_PLATFORM_URL: platform };
    try {
      await Promise.all([
        whole.#start("gateway", gateway, {
          ...env,
          ...databases,
          ADMIN_TOKEN,
          // Tests ask again and again.
          TOKEN_REQUESTS_PER_MINUTE: "1000000",
          ADDRESS_REQUESTS_PER_MINUTE: "1000000",
        }),
        whole.#start("webhook-ingest", ingest, {
          MEDIA_STORE: folder,
          DATABASE_INGEST_URL: db,
          META_APP_SECRET: app.secret,
          META_VERIFY_TOKEN: app.verifyToken,
        }),
      ]);
    } catch (error) {
      // What is left running would keep the test's process alive.
      await whole[Symbol.asyncDispose]();
      throw error;
    }
    return whole;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#services.map(stopWorker));
    await this.world[Symbol.asyncDispose]();
    await this.meta.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #start(name: string, port: number, env: Record<string, string>): Promise<void> {
    const { database, nats, redis } = this.world.room;
    const child = spawn(process.execPath, ["src/main.ts"], {
      cwd: new URL(`../../${name}/`, import.meta.url),
      stdio: "ignore",
      env: {
        PATH: process.env["PATH"],
        PORT: String(port),
        DATABASE_RELAY_URL: database.urls.relay,
        NATS_URL: nats.url,
        REDIS_URL: redis.url,
        MANYLINE_KEK: TEST_KEKS.map(({ id, key }) => `${id}:${key.toString("base64")}`).join(","),
        ...env,
      },
    });
    this.#services.push(child);
    const isReady = async (): Promise<boolean> =>
      (await fetch(`http://127.0.0.1:${port}/health/ready`)).ok;
    await until(isReady, { label: `${name} ready`, deadlineMs: 60_000 });
  }
}
