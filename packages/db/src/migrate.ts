import { createHmac, createHash, pbkdf2Sync, randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Kysely, PostgresDialect, sql } from "kysely";
import { Migrator } from "kysely/migration";
import { Client, Pool } from "pg";
import { SchemaVersionError, errorCode } from "./errors.ts";
import { migrations, SCHEMA_VERSION } from "./migrations/index.ts";
import { type Executor, firstRow } from "./open.ts";
import { DB_ROLES, type DbRole, IDLE_IN_TRANSACTION_MS, loginOf } from "./roles.ts";

export type MigrateOptions = {
  /** A login that owns the database and may create roles; it needs not be a superuser. */
  ownerUrl: string;
  /** The password of each service login; running again with others changes them. */
  passwords: Record<DbRole, string>;
  logger?: { info: (fields: Record<string, unknown>, message: string) => void };
};

/** Held for the whole run, so that two runners go one after the other. Any number; it must stay the same. */
const MIGRATION_LOCK = 4_617_320_911;

/**
 * Brings the database to this build's schema: creates the service logins and sets their passwords, runs
 * the missing migrations (each in its transaction), makes the next days' event partitions. Running it
 * again, or twice at once, is harmless. Returns the names of the migrations that ran.
 */
export async function migrate(options: MigrateOptions): Promise<string[]> {
  const client = new Client({
    connectionString: options.ownerUrl,
    application_name: "manyline-migrate",
  });
  // A broken connection fails the query that runs on it.
  client.on("error", () => undefined);
  await client.connect();
  try {
    await client.query("select pg_advisory_lock($1)", [MIGRATION_LOCK]);
    for (const role of DB_ROLES) {
      await ensureLogin(
        client,
        loginOf(role),
        options.passwords[role],
        IDLE_IN_TRANSACTION_MS[role],
      );
    }
    const ran = await runMigrations(options.ownerUrl);
    const logins = DB_ROLES.map(loginOf).join(", ");
    await client.query(`grant usage on schema public to ${logins}`);
    await client.query(`grant select on kysely_migration to ${logins}`);
    await client.query("select create_event_partitions(3)");
    options.logger?.info({ schema: SCHEMA_VERSION, migrations: ran }, "database migrated");
    return ran;
  } finally {
    await client.end();
  }
}

async function runMigrations(ownerUrl: string): Promise<string[]> {
  const pool = new Pool({ connectionString: ownerUrl, max: 2 });
  pool.on("error", () => undefined);
  pool.on("connect", (connection) => connection.on("error", () => undefined));
  const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
  try {
    const migrator = new Migrator({ db, provider: { getMigrations: async () => migrations } });
    const { error, results = [] } = await migrator.migrateToLatest();
    const failed = results.find(({ status }) => status === "Error");
    if (error !== undefined) {
      throw new Error(
        `migration ${failed?.migrationName ?? "set-up"} failed: ${messageOf(error)}`,
        {
          cause: error,
        },
      );
    }
    return results.map(({ migrationName }) => migrationName);
  } finally {
    await db.destroy();
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : "for an unknown reason";
}

/** Roles belong to the whole server, so a migration of another database may change them at the same time. */
async function ensureLogin(
  client: Client,
  login: string,
  password: string,
  idleMs: number,
): Promise<void> {
  const verifier = client.escapeLiteral(scramVerifier(password));
  for (let tries = 1; ; tries += 1) {
    try {
      await client.query(`do $$ begin
        if not exists (select from pg_roles where rolname = '${login}') then create role ${login}; end if;
      exception when duplicate_object or unique_violation then null; end $$`);
      await client.query(`alter role ${login} login password ${verifier}`);
      await client.query(
        `alter role ${login} set idle_in_transaction_session_timeout = '${idleMs}ms'`,
      );
      return;
    } catch (error) {
      const isRace = error instanceof Error && error.message.includes("tuple concurrently");
      if ((!isRace && errorCode(error) !== "23505") || tries >= 20) throw error;
      await delay(Math.random() * 50);
    }
  }
}

/**
 * The password in the form Postgres stores (RFC 5803), so that it appears in no statement log. Printable
 * ASCII only, as other characters would need a normal form (RFC 4013).
 */
export function scramVerifier(password: string, salt: Buffer = randomBytes(16)): string {
  if (!/^[\x21-\x7e]+$/.test(password)) {
    throw new TypeError(
      "a database password must be of printable ASCII characters, without spaces",
    );
  }
  const iterations = 4096;
  const salted = pbkdf2Sync(password, salt, iterations, 32, "sha256");
  const hmac = (text: string): Buffer => createHmac("sha256", salted).update(text).digest();
  const storedKey = createHash("sha256").update(hmac("Client Key")).digest("base64");
  const serverKey = hmac("Server Key").toString("base64");
  return `SCRAM-SHA-256$${iterations}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}

/** The newest migration that ran, or undefined for an empty database. */
export async function schemaVersion(executor: Executor): Promise<string | undefined> {
  try {
    const row = await firstRow(
      executor,
      sql<{ name: string | null }>`select max(name) as name from kysely_migration`,
    );
    return row?.name ?? undefined;
  } catch (error) {
    const code = errorCode(error);
    // No such table, or a table that the role may not read yet: the migration has not come that far.
    if (code === "42P01" || code === "42501") return undefined;
    throw error;
  }
}

/**
 * Throws SchemaVersionError unless the database has at least this build's schema. A newer one is fine:
 * migrations run before a roll-out, and only add.
 */
export async function assertSchema(executor: Executor): Promise<void> {
  const found = await schemaVersion(executor);
  if (found === undefined || found < SCHEMA_VERSION) {
    throw new SchemaVersionError(found, SCHEMA_VERSION);
  }
}
