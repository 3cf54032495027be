/** A real gateway over real servers, for the integration tests. */
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createSilentLogger, runService } from "@manyline/runtime";
import type { ServiceHandle } from "@manyline/runtime";
import { TEST_KEKS, openTestDatabase } from "@manyline/db/testing";
import type { OpenTestDatabase } from "@manyline/db/testing";
import { startNats, startRedis, until } from "@manyline/testkit";
import type { NatsServer, PostgresServer, RedisServer } from "@manyline/testkit";
import { buildDeps, envToConfig, startGateway } from "../src/index.ts";
import type { Deps } from "../src/index.ts";

export const ADMIN_TOKEN = "test-admin-token-0123456789-abcdefghij";

export type World = AsyncDisposable & {
  readonly url: string;
  readonly deps: Deps;
  readonly database: OpenTestDatabase;
  readonly nats: NatsServer;
  readonly redis: RedisServer;
  readonly gateway: ServiceHandle;
};

export type WorldOptions = {
  readonly env?: Readonly<Record<string, string>>;
  readonly server?: PostgresServer;
};

/** Starts Postgres (or takes the suite's), NATS, Redis and a gateway on a free port. */
export async function openWorld(options: WorldOptions = {}): Promise<World> {
  const [database, nats, redis] = await Promise.all([
    openTestDatabase(options.server === undefined ? {} : { server: options.server }),
    startNats(),
    startRedis(),
  ]);
  const kek = TEST_KEKS[0];
  if (!kek) throw new Error("no test key");
  const media = await mkdtemp(join(tmpdir(), "manyline-gateway-"));
  const config = envToConfig({
    PORT: "0",
    MEDIA_STORE: media,
    MEDIA_OPEN_ADDRESSES: "127.0.0.1",
    DATABASE_APP_URL: database.urls.app,
    DATABASE_PLATFORM_URL: database.urls.platform,
    DATABASE_RELAY_URL: database.urls.relay,
    NATS_URL: nats.url,
    REDIS_URL: redis.url,
    MANYLINE_KEK: `${kek.id}:${kek.key.toString("base64")}`,
    ADMIN_TOKEN,
    PUBLIC_URL: "http://127.0.0.1:3000",
    CONSOLE_DIR: new URL("pages", import.meta.url).pathname,
    ...options.env,
  });
  const logger = createSilentLogger();
  const deps = buildDeps(config, logger);
  let url = "";
  const gateway = await runService({
    name: "gateway",
    logger,
    start: async (scope) => {
      url = (await startGateway(deps, scope)).url;
    },
  });
  if (gateway.state !== "RUNNING") throw new Error("the gateway did not start");
  await until(async () => (await fetch(`${url}/health/ready`)).status === 200, { label: "ready" });
  return {
    url,
    deps,
    database,
    nats,
    redis,
    gateway,
    [Symbol.asyncDispose]: async () => {
      await gateway.stop();
      await Promise.all([nats[Symbol.asyncDispose](), redis[Symbol.asyncDispose]()]);
      await database.stop();
      await rm(media, { recursive: true, force: true });
    },
  };
}

export type Answer = {
  readonly status: number;
  readonly headers: Headers;
  // Tests look into answers of many shapes; each assertion checks the type it needs.
  readonly body: Record<string, unknown>;
};

export type CallOptions = {
  readonly token?: string;
  readonly cookie?: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
};

/** One request; the body of the answer is read as JSON, or is `{}`. */
export async function call(
  world: Pick<World, "url">,
  method: string,
  path: string,
  options: CallOptions = {},
): Promise<Answer> {
  const response = await fetch(`${world.url}${path}`, {
    method,
    headers: {
      ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
      ...(options.cookie === undefined ? {} : { cookie: options.cookie }),
      ...(options.body === undefined ? {} : { "content-type": "application/json" }),
      ...options.headers,
    },
    ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
  });
  const text = await response.text();
  const isJson = response.headers.get("content-type")?.includes("json") ?? false;
  const body: unknown = isJson ? JSON.parse(text) : {};
  return { status: response.status, headers: response.headers, body: record(body) };
}

export function record(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null ? { ...value } : {};
}

export type TestCompany = { readonly id: string; readonly token: string };

/** A new company with its token. */
export async function addCompany(
  world: World,
  body: Record<string, unknown> = {},
): Promise<TestCompany> {
  const id = `c${randomBytes(5).toString("hex")}`;
  const answer = await call(world, "POST", "/api/whatsapp/companies", {
    token: ADMIN_TOKEN,
    body: { id, name: `Salon ${id}`, ...body },
  });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return { id, token: String(answer.body["token"]) };
}

/** Adds a linked number; returns its id. */
export async function addNumber(
  world: World,
  company: TestCompany,
  body: Record<string, unknown> = {},
): Promise<string> {
  const answer = await call(world, "POST", `/api/whatsapp/companies/${company.id}/numbers`, {
    token: company.token,
    body,
  });
  if (answer.status !== 201) throw new Error(JSON.stringify(answer.body));
  return String(record(answer.body["number"])["id"]);
}

/** The cookie of a pairing page for the company's primary number. */
export async function openPage(
  world: World,
  company: TestCompany,
  number?: string,
): Promise<string> {
  const link = await call(world, "POST", `/api/whatsapp/sessions/${company.id}/pairing-link`, {
    token: company.token,
    body: number === undefined ? {} : { number },
  });
  const token = String(link.body["url"]).split("#")[1];
  const answer = await call(world, "POST", "/api/whatsapp/link-exchange", { body: { token } });
  const cookie = answer.headers.get("set-cookie")?.split(";")[0];
  if (cookie === undefined) throw new Error(JSON.stringify(answer.body));
  return cookie;
}
