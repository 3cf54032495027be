/** The whole of `npm start` on free ports with a data folder of its own, for end-to-end tests and benches. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, reachableDataDir, until } from "@manyline/testkit";

const START = join(import.meta.dirname, "..", "..", "start.ts");
const PORTS = [
  "GATEWAY",
  "SIMULATOR",
  "META_SIMULATOR",
  "WPP_SIMULATOR",
  "WPPCONNECT_SIMULATOR",
  "WORKER_HEALTH",
  "INGEST",
  "NOTIFIER",
  "INBOX",
  "INBOX_SMTP",
  "POSTGRES",
  "NATS",
  "REDIS",
] as const;

export type LocalStack = AsyncDisposable & {
  gatewayUrl: string;
  simulatorUrl: string;
  adminToken: string;
  /** What the processes log, and everything else they keep. */
  dataFolder: string;
  ports: Record<(typeof PORTS)[number], number>;
  /** A request with the admin token; the answer's JSON and status. */
  rest: (method: string, path: string, body?: unknown, token?: string) => Promise<RestAnswer>;
  /** A request to the simulated WhatsApp's control API. */
  simulator: (method: string, path: string, body?: unknown) => Promise<RestAnswer>;
};
export type RestAnswer = { status: number; headers: Headers; body: Record<string, unknown> };

/** Resolves when everything is ready. Ends with SIGINT, as a person's Ctrl-C would. */
export async function startLocalStack(env: Record<string, string> = {}): Promise<LocalStack> {
  const folder = await mkdtemp(join(tmpdir(), "manyline-stack-"));
  const dataFolder = join(folder, "data");
  const found = await Promise.all(PORTS.map(async (name) => [name, await freePort()] as const));
  const ports = Object.fromEntries(found) as LocalStack["ports"];
  const child = spawn(process.execPath, [START], {
    env: {
      PATH: process.env["PATH"],
      HOME: process.env["HOME"],
      MANYLINE_DATA: dataFolder,
      ...Object.fromEntries(found.map(([name, port]) => [`${name}_PORT`, String(port)])),
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  await until(() => output.includes("Manyline is ready") || child.exitCode !== null, {
    deadlineMs: 90_000,
    label: "the stack",
  });
  if (child.exitCode !== null)
    throw new Error(`npm start ended with ${child.exitCode}:\n${output}`);

  const gatewayUrl = `http://127.0.0.1:${ports.GATEWAY}`;
  const simulatorUrl = `http://127.0.0.1:${ports.SIMULATOR}`;
  const adminToken = (await readFile(join(dataFolder, "admin-token"), "utf8")).trim();
  return {
    gatewayUrl,
    simulatorUrl,
    adminToken,
    dataFolder,
    ports,
    rest: (method, path, body, token = adminToken) =>
      call(method, `${gatewayUrl}${path}`, body, { authorization: `Bearer ${token}` }),
    simulator: (method, path, body) => call(method, `${simulatorUrl}${path}`, body, {}),
    [Symbol.asyncDispose]: () => stop(child, folder, dataFolder),
  };
}

async function call(
  method: string,
  url: string,
  body: unknown,
  headers: Record<string, string>,
): Promise<RestAnswer> {
  const response = await fetch(url, {
    method,
    headers: { ...headers, ...(body === undefined ? {} : { "content-type": "application/json" }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const isJson = (response.headers.get("content-type") ?? "").includes("json");
  return {
    status: response.status,
    headers: response.headers,
    body: isJson ? (JSON.parse(text) as Record<string, unknown>) : { text },
  };
}

async function stop(child: ChildProcess, folder: string, dataFolder: string): Promise<void> {
  const ended = child.exitCode === null ? once(child, "close") : undefined;
  child.kill("SIGINT");
  await ended;
  // As root in a closed home, Postgres keeps its files elsewhere.
  const postgres = await reachableDataDir(join(dataFolder, "postgres"));
  if (!postgres.startsWith(folder))
    await rm(join(postgres, ".."), { recursive: true, force: true });
  await rm(folder, { recursive: true, force: true });
}
