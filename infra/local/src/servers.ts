import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import type { ManagedServer } from "@manyline/testkit";
import { reachableDataDir, startNats, startPostgres, startRedis } from "@manyline/testkit";
import type { ServerUrls } from "./environment.ts";
import type { DataPaths } from "./paths.ts";
import type { Progress } from "./progress.ts";
import type { Settings } from "./settings.ts";

/**
 * Starts Postgres, NATS and Redis, except those that are given by URL. `onStarted` hears of each as
 * soon as it runs, so that it is stopped even if the next one fails.
 */
export async function startServers(
  paths: DataPaths,
  settings: Settings,
  report: Progress,
  onStarted: (server: ManagedServer) => void,
): Promise<ServerUrls> {
  const started = <Server extends ManagedServer>(server: Server): Server => {
    report(`${server.spec.name} on port ${server.port}`);
    onStarted(server);
    return server;
  };
  const given = (name: string, variable: string, url: string): string => {
    report(`${name} by ${variable}`);
    return url;
  };
  const logFile = (name: string): string => join(paths.logs, `${name}.log`);
  const { databaseUrl, natsUrl, redisUrl, ports } = settings;

  const postgres = async (): Promise<string> => {
    if (databaseUrl !== undefined) return given("Postgres", "DATABASE_URL", databaseUrl);
    const dir = await reachableDataDir(paths.postgres);
    if (dir !== paths.postgres)
      report(`Postgres keeps its data in ${dir}: its user cannot enter here`);
    const options = { dir, port: ports.postgres, isDurable: true, logFile: logFile("postgres") };
    return started(await startPostgres(options)).url;
  };
  const nats = async (): Promise<string> => {
    if (natsUrl !== undefined) return given("NATS", "NATS_URL", natsUrl);
    await mkdir(paths.nats, { recursive: true, mode: 0o700 });
    const options = { dir: paths.nats, port: ports.nats, logFile: logFile("nats"), report };
    return started(await startNats(options)).url;
  };
  const redis = async (): Promise<string> => {
    if (redisUrl !== undefined) return given("Redis", "REDIS_URL", redisUrl);
    await mkdir(paths.redis, { recursive: true, mode: 0o700 });
    const options = { dir: paths.redis, port: ports.redis, logFile: logFile("redis"), report };
    return started(await startRedis(options)).url;
  };

  // Postgres beside the others; those two may both call the package manager, which has one lock.
  const both = async (): Promise<[string, string]> => [await nats(), await redis()];
  const [database, others] = await settleAll(postgres(), both());
  return { owner: database, nats: others[0], redis: others[1] };
}

/** As Promise.all, but waits for both, so that nothing starts after a failure was reported. */
async function settleAll<A, B>(a: Promise<A>, b: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([a, b]);
  return Promise.all([a, b]);
}

/** Makes `.data` with its folders. */
export async function makeDataFolders(paths: DataPaths): Promise<void> {
  await mkdir(paths.data, { recursive: true });
  // Postgres may run as another user and has to walk through; what is private is shut by itself.
  await chmod(paths.data, process.getuid?.() === 0 ? 0o711 : 0o700);
  await mkdir(paths.logs, { recursive: true, mode: 0o700 });
}

/** Removes everything that earlier runs have left, wherever it lies; downloaded tools may stay. */
export async function wipeData(paths: DataPaths): Promise<void> {
  const postgres = await reachableDataDir(paths.postgres);
  if (postgres !== paths.postgres) await rm(dirname(postgres), { recursive: true, force: true });
  const kept = new Set([paths.running, paths.tools]);
  for (const entry of await readdir(paths.data)) {
    const path = join(paths.data, entry);
    if (!kept.has(path)) await rm(path, { recursive: true, force: true });
  }
}
