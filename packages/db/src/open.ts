import { setTimeout as delay } from "node:timers/promises";
import { CamelCasePlugin, Kysely, PostgresDialect, sql, type Transaction } from "kysely";
import { Pool, type PoolClient, types } from "pg";
import { isRetriable } from "./errors.ts";
import type { DbRole } from "./roles.ts";
import type { Schema } from "./schema/index.ts";

/** What repositories run on: a database (each statement its own commit) or an open transaction. */
export type Executor = Kysely<Schema>;
export type Tx = Transaction<Schema>;

export type OpenOptions = {
  url: string;
  /** The role that the URL logs in as; for readers of the code, and for error messages. */
  role?: DbRole;
  /** Shown in pg_stat_activity. */
  applicationName: string;
  /** Connections at most; default 10. */
  poolSize?: number;
  /** A single statement may take this long; default 10,000 ms. */
  statementTimeoutMs?: number;
  /** A connection must be there within this time; default 3,000 ms. */
  connectTimeoutMs?: number;
};

/**
 * A pool of connections with a role. Opening it asks nothing of Postgres; the first query does, and fails
 * with an error of `isUnavailable` while Postgres is down. int8 is read as a JS number.
 */
export class Database extends Kysely<Schema> {
  readonly role: DbRole | undefined;
  #stopped: Promise<void> | undefined;

  constructor(options: OpenOptions) {
    const pool = new Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.poolSize ?? 10,
      connectionTimeoutMillis: options.connectTimeoutMs ?? 3_000,
      statement_timeout: options.statementTimeoutMs ?? 10_000,
      // Postgres itself ends a slow statement; this is for a Postgres that does not answer at all.
      query_timeout: (options.statementTimeoutMs ?? 10_000) + 2_000,
      idleTimeoutMillis: 60_000,
      keepAlive: true,
      types: { getTypeParser },
    });
    // An idle connection that breaks is simply gone from the pool; the next query opens another.
    pool.on("error", () => undefined);
    // One that breaks in use fails its query and tells it by an event as well, which must be heard.
    pool.on("connect", (client) => {
      client.on("error", () => undefined);
      endOnTimeout(client);
    });
    super({
      dialect: new PostgresDialect({ pool }),
      plugins: [new CamelCasePlugin({ maintainNestedObjectKeys: true })],
    });
    this.role = options.role;
  }

  /** Resolves when Postgres answers. */
  async ping(): Promise<void> {
    await sql`select 1`.execute(this);
  }

  /** Closes the pool after the running queries. Repeating it is harmless. */
  stop(): Promise<void> {
    return (this.#stopped ??= this.destroy());
  }

  override [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/**
 * Ends a connection whose query got no answer in time. The client would hand it on: if what hung was a `begin`,
 * the next one would work inside a transaction nobody knows of, be told that its writes are done, and lose them
 * when Postgres ends that transaction as idle.
 */
function endOnTimeout(client: PoolClient): void {
  const query = client.query.bind(client) as (...args: unknown[]) => unknown;
  const watched = (...args: unknown[]): unknown => {
    const answer = query(...args);
    if (answer instanceof Promise) {
      answer.catch((error: unknown) => {
        if (error instanceof Error && error.message === QUERY_TIMED_OUT) void client.end();
      });
    }
    return answer;
  };
  client.query = watched as typeof client.query;
}

/** What the pg client says; it has no code of its own. */
const QUERY_TIMED_OUT = "Query read timeout";

/** Array of int8; the type catalogue of the client does not name arrays. */
const INT8_ARRAY = 1016;

/** How texts of Postgres become values; for our pools only, not for the whole process. */
const getTypeParser: typeof types.getTypeParser = (oid, format) => {
  if (oid === types.builtins.INT8) return Number;
  const code: number = oid;
  if (code === INT8_ARRAY) {
    return (value: string) =>
      value === "{}" ? [] : value.slice(1, -1).split(",").map(numberOrNull);
  }
  // The client's own parsers are untyped.
  const parser: unknown = types.getTypeParser(oid, format);
  return parser;
};

const numberOrNull = (text: string): number | null => (text === "NULL" ? null : Number(text));

/** Opens a database; lazy, see `Database`. */
export function openDatabase(options: OpenOptions): Database {
  return new Database(options);
}

const MAX_TRIES = 5;

/**
 * One transaction (READ COMMITTED). Deadlocks (40P01) and serialization failures (40001) are repeated, so
 * `work` must do nothing outside the database that may not happen twice.
 */
export async function inTransaction<T>(db: Database, work: (tx: Tx) => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await db.transaction().execute(work);
    } catch (error) {
      if (!isRetriable(error) || tries >= MAX_TRIES) throw error;
      await delay(Math.random() * 10 * 2 ** tries);
    }
  }
}

/** Like `inTransaction`, for role `app`: row security shows and accepts rows of this company only. */
export async function withCompany<T>(
  db: Database,
  companyNo: number,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return inTransaction(db, async (tx) => {
    await sql`select set_config('app.company_no', ${String(companyNo)}, true)`.execute(tx);
    return work(tx);
  });
}

/** All rows of a statement. */
export async function rows<Row>(
  executor: Executor,
  statement: ReturnType<typeof sql<Row>>,
): Promise<Row[]> {
  return (await statement.execute(executor)).rows;
}

/** The first row of a statement, if any. */
export async function firstRow<Row>(
  executor: Executor,
  statement: ReturnType<typeof sql<Row>>,
): Promise<Row | undefined> {
  return (await statement.execute(executor)).rows[0];
}

/** How many rows a statement changed. */
export async function changed(
  executor: Executor,
  statement: ReturnType<typeof sql>,
): Promise<number> {
  return Number((await statement.execute(executor)).numAffectedRows ?? 0n);
}
