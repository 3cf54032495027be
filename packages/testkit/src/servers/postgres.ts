import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { chown, lstat, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { Client } from "pg";
import { assertPortFree, freePort } from "../ports.ts";
import { ManagedServer } from "./managed-server.ts";
import type { ServerUser } from "./postgres-home.ts";
import {
  embeddedBinaries,
  postgresUser,
  reachableDataDir,
  temporaryDataDir,
} from "./postgres-home.ts";
import { commandLine, isAlive } from "./processes.ts";

const run = promisify(execFile);

export const OWNER_ROLE = "manyline_owner";
export const DATABASE_NAME = "manyline";

export type PostgresOptions = {
  /**
   * Data folder, kept afterwards; the password lies beside it in `<dir>.password`. Without it: a temporary
   * one, removed at the end.
   */
  dir?: string;
  /** Without it: any free one. */
  port?: number;
  /** true: survives a power cut. false (the default, for tests): survives only a kill -9. */
  isDurable?: boolean;
  /** Folder with `initdb` and `postgres`. Without it: the Postgres of the npm package. */
  binDir?: string;
  /** More settings, as for `postgres -c name=value`. */
  settings?: Record<string, string>;
  logFile?: string;
};

/**
 * A real Postgres with a database `manyline`, which belongs to the role `manyline_owner`: no superuser
 * (managed Postgres offers none either), but one that may create roles and databases.
 */
export class PostgresServer extends ManagedServer {
  readonly password: string;

  constructor(spec: ConstructorParameters<typeof ManagedServer>[0], password: string) {
    super(spec);
    this.password = password;
  }

  /** URL of a database on this server, by default as its owner. */
  urlFor(database: string, role = OWNER_ROLE, password = this.password): string {
    const credentials = `${encodeURIComponent(role)}:${encodeURIComponent(password)}`;
    return `postgres://${credentials}@127.0.0.1:${this.port}/${database}`;
  }

  /** URL of the superuser, for what only tests and rescuers do. */
  get superuserUrl(): string {
    return this.urlFor("postgres", "postgres");
  }

  /** Starts the server, then makes sure that the owner and the database are there. */
  override async start(): Promise<void> {
    if (this.pid !== null) return;
    await super.start();
    const client = new Client({ connectionString: this.superuserUrl });
    await client.connect();
    try {
      const password = client.escapeLiteral(this.password);
      const rights = `login createrole createdb password ${password}`;
      await client.query(`do $$ begin create role ${OWNER_ROLE};
        exception when duplicate_object or unique_violation then null; end $$`);
      await client.query(`alter role ${OWNER_ROLE} with ${rights}`);
      const known = await client.query("select from pg_database where datname = $1", [
        DATABASE_NAME,
      ]);
      if (known.rowCount === 0) {
        await client.query(`create database ${DATABASE_NAME} owner ${OWNER_ROLE}`);
      }
    } finally {
      await client.end();
    }
  }
}

/** Starts a Postgres on 127.0.0.1 and waits until it answers. Dispose it to stop it. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const user = await postgresUser();
  const binDir = options.binDir ?? (await embeddedBinaries());
  const temporaryFolder = options.dir === undefined ? await temporaryDataDir() : undefined;
  const dir =
    temporaryFolder === undefined
      ? await reachableDataDir(options.dir ?? "")
      : join(temporaryFolder, "postgres");
  const port = options.port ?? (await freePort());
  if (temporaryFolder !== undefined && user !== undefined) {
    await chown(temporaryFolder, user.uid, user.gid);
  }
  if (!existsSync(join(dir, "PG_VERSION"))) {
    await initialise(binDir, dir, user, options.isDurable === true);
  }
  const password = await readFile(passwordFileOf(dir), "utf8");
  assertSameVersion(binDir, dir, await versionOf(binDir));

  const pidFile = join(dir, "postmaster.pid");
  const server: PostgresServer = new PostgresServer(
    {
      name: "Postgres",
      url: `postgres://${OWNER_ROLE}:${password}@127.0.0.1:${port}/${DATABASE_NAME}`,
      port,
      dir,
      logFile: options.logFile ?? join(dirname(dir), "postgres.log"),
      command: join(binDir, "postgres"),
      args: ["-D", dir, "-p", String(port), ...settingsOf(options).flatMap((s) => ["-c", s])],
      ...(user === undefined ? {} : { user }),
      stopSignal: "SIGINT", // a fast shutdown: rolls back, cuts connections, writes a checkpoint
      isReady: async () => isMarkedReady(pidFile, server.pid),
      prepare: async () => {
        await clearPredecessor(pidFile, dir);
        await assertPortFree("Postgres", port);
      },
      // Backends of a killed server need a moment to notice that it is gone.
      isRetriable: (log) =>
        /pre-existing shared memory block|lock file .* already exists/.test(log),
      ...(temporaryFolder === undefined ? {} : { temporaryFolder }),
    },
    password,
  );
  await server.start();
  return server;
}

function settingsOf(options: PostgresOptions): string[] {
  const settings: Record<string, string> = {
    listen_addresses: "127.0.0.1",
    unix_socket_directories: "", // its folder would have to be reachable by two users
    max_connections: "200",
    log_min_messages: "warning",
    timezone: "UTC",
    log_timezone: "UTC",
    // A killed server may lose nothing that was committed, so synchronous_commit stays on.
    ...(options.isDurable === true ? {} : { fsync: "off", full_page_writes: "off" }),
    ...options.settings,
  };
  return Object.entries(settings).map(([name, value]) => `${name}=${value}`);
}

async function initialise(
  binDir: string,
  dir: string,
  user: ServerUser | undefined,
  isDurable: boolean,
): Promise<void> {
  await rm(dir, { recursive: true, force: true }); // what an interrupted initdb left
  await mkdir(dir, { mode: 0o700 });
  const passwordFile = passwordFileOf(dir);
  await rm(passwordFile, { force: true });
  await writeFile(passwordFile, randomBytes(16).toString("hex"), { mode: 0o600 });
  if (user !== undefined) {
    for (const path of [dir, passwordFile]) await chown(path, user.uid, user.gid);
  }
  try {
    await run(
      join(binDir, "initdb"),
      [
        `--pgdata=${dir}`,
        `--pwfile=${passwordFile}`,
        "--username=postgres",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--locale=C",
        "--no-instructions",
        ...(isDurable ? [] : ["--no-sync"]),
      ],
      { cwd: dir, ...user, env: { PATH: "/usr/bin:/bin", LANG: "C" } },
    );
  } catch (cause) {
    await rm(dir, { recursive: true, force: true });
    throw new Error(`initdb failed in ${dir}: ${String(cause)}`, { cause });
  }
}

/** The superuser's and the owner's password, random, made once. */
function passwordFileOf(dir: string): string {
  return `${dir}.password`;
}

async function versionOf(binDir: string): Promise<string> {
  const { stdout } = await run(join(binDir, "postgres"), ["--version"]);
  return /(\d+)/.exec(stdout)?.[1] ?? "unknown";
}

function assertSameVersion(binDir: string, dir: string, version: string): void {
  const written = readFileSync(join(dir, "PG_VERSION"), "utf8").trim();
  if (written === version) return;
  throw new Error(
    `the data in ${dir} was written by Postgres ${written}, but ${binDir} is ${version}`,
  );
}

/** The eighth line of postmaster.pid says "ready" once connections are accepted; the first is the pid. */
function isMarkedReady(pidFile: string, pid: number | null): boolean {
  if (pid === null || !existsSync(pidFile)) return false;
  const lines = readFileSync(pidFile, "utf8").split("\n");
  return lines[0]?.trim() === String(pid) && lines[7]?.trim() === "ready";
}

/**
 * A postmaster.pid is left when a server was killed. Postgres refuses to start when the id in it
 * belongs to any living process of its user; so it is removed unless it really is our server, which
 * is stopped: whoever starts a server on this folder is its only owner.
 */
async function clearPredecessor(pidFile: string, dir: string): Promise<void> {
  const exists = await lstat(pidFile).then(
    () => true,
    () => false,
  );
  if (!exists) return;
  const pid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);
  const isOurs = (): boolean => isAlive(pid) && commandLine(pid).includes(dir);
  if (isOurs()) {
    process.kill(pid, "SIGINT");
    for (let tries = 0; tries < 100 && isOurs(); tries += 1) await delay(100);
    if (isOurs()) throw new Error(`Postgres (process ${pid}) still uses ${dir} and does not stop`);
    return;
  }
  await rm(pidFile, { force: true });
}
