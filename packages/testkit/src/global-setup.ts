import type { PostgresServer } from "./servers/postgres.ts";
import { startPostgres } from "./servers/postgres.ts";
import { SHARED_POSTGRES_VARIABLE } from "./test-database.ts";

/**
 * For `node --test --test-global-setup=<this file>`: one Postgres for all files of a suite. It is passed
 * to the test processes by the environment; a set-up that runs inside another does nothing.
 */
let server: PostgresServer | undefined;

export async function globalSetup(): Promise<void> {
  if (process.env[SHARED_POSTGRES_VARIABLE] !== undefined) return;
  server = await startPostgres();
  const { port, password } = server;
  process.env[SHARED_POSTGRES_VARIABLE] = JSON.stringify({ port, password });
}

export async function globalTeardown(): Promise<void> {
  await server?.[Symbol.asyncDispose]();
}
