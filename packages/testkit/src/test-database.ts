import { createHash, randomBytes } from "node:crypto";
import { Client } from "pg";
import type { PostgresServer } from "./servers/postgres.ts";
import { OWNER_ROLE, startPostgres } from "./servers/postgres.ts";

/** Set by the global set-up: one Postgres for a whole suite. JSON of `SharedPostgres`. */
export const SHARED_POSTGRES_VARIABLE = "MANYLINE_TEST_POSTGRES";

/** What is needed to reach a running Postgres with the rights of its superuser. */
export type SharedPostgres = { port: number; password: string };

export type TestDatabaseOptions = {
  /**
   * Brings an empty database to the wanted shape; it gets the owner's URL, and must have closed its
   * connections when it returns. Runs once per key and server: each database is then a copy of the result.
   * Roles belong to the whole server: create them only if missing.
   */
  migrate: (ownerUrl: string) => Promise<void>;
  /** Names the shape, for instance "manyline". Another shape needs another key. */
  key: string;
  /** Without it: the Postgres of the suite, else one of this process. */
  server?: PostgresServer;
};

/** A database of its own for one test file. */
export type TestDatabase = AsyncDisposable & {
  name: string;
  port: number;
  /** As its owner (`manyline_owner`, not a superuser). */
  url: string;
  /** As the superuser: sees through row security. */
  superuserUrl: string;
  /** As another role of the server. */
  urlFor: (role: string, password: string) => string;
};

let ownServer: Promise<PostgresServer> | undefined;

/**
 * A copy of a migrated template, ready in some 50 ms, dropped by dispose. Everything is real: roles,
 * row security, extensions. Where no suite started a Postgres (a file is run alone), this process
 * starts one, which ends with it.
 */
export async function testDatabase(options: TestDatabaseOptions): Promise<TestDatabase> {
  const { port, password } = options.server ?? (await sharedPostgres());
  const urlOf = (database: string, role: string, rolePassword = password): string =>
    `postgres://${encodeURIComponent(role)}:${encodeURIComponent(rolePassword)}@127.0.0.1:${port}/${database}`;
  const hash = createHash("sha256").update(options.key).digest("hex").slice(0, 12);
  const template = `template_${hash}`;
  const name = `test_${hash}_${randomBytes(6).toString("hex")}`;

  const admin = new Client({ connectionString: urlOf("postgres", "postgres") });
  await admin.connect();
  try {
    // Two files may want the first copy at the same time. And a copy may not run beside another one.
    await admin.query("select pg_advisory_lock(hashtext($1))", [template]);
    const known = await admin.query("select from pg_database where datname = $1", [template]);
    if (known.rowCount === 0) {
      const unfinished = `${template}_unfinished`;
      await admin.query(`drop database if exists ${unfinished} with (force)`);
      await admin.query(`create database ${unfinished} owner ${OWNER_ROLE}`);
      await options.migrate(urlOf(unfinished, OWNER_ROLE));
      await disconnectAll(admin, unfinished);
      await admin.query(`alter database ${unfinished} rename to ${template}`);
    }
    await admin.query(`create database ${name} template ${template} owner ${OWNER_ROLE}`);
  } finally {
    await admin.end();
  }

  return {
    name,
    port,
    url: urlOf(name, OWNER_ROLE),
    superuserUrl: urlOf(name, "postgres"),
    urlFor: (role, rolePassword) => urlOf(name, role, rolePassword),
    [Symbol.asyncDispose]: () => dropDatabase(urlOf("postgres", "postgres"), name),
  };
}

/** The Postgres of the suite, else one that this process starts on first use. */
async function sharedPostgres(): Promise<SharedPostgres> {
  const shared = process.env[SHARED_POSTGRES_VARIABLE];
  if (shared === undefined || shared === "") return (ownServer ??= startPostgres());
  const parsed: unknown = JSON.parse(shared);
  if (isSharedPostgres(parsed)) return parsed;
  throw new Error(`${SHARED_POSTGRES_VARIABLE} must be {"port", "password"}, not ${shared}`);
}

function isSharedPostgres(value: unknown): value is SharedPostgres {
  return (
    typeof value === "object" &&
    value !== null &&
    "port" in value &&
    typeof value.port === "number" &&
    "password" in value &&
    typeof value.password === "string"
  );
}

/** A database with connections cannot be renamed; a pool that was just closed may linger for a moment. */
async function disconnectAll(admin: Client, database: string): Promise<void> {
  await admin.query(`alter database ${database} with allow_connections false`);
  await admin.query(
    "select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = $1",
    [database],
  );
  await admin.query(`alter database ${database} with allow_connections true`);
}

async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  const admin = new Client({ connectionString: adminUrl });
  try {
    await admin.connect();
  } catch {
    return; // the test has stopped its server
  }
  try {
    await admin.query(`drop database if exists ${name} with (force)`);
  } finally {
    await admin.end();
  }
}
