/** Real servers for tests and for `npm start`, and small helpers for waiting and ports. */
export { isPortTaken, freePort, PortInUseError } from "./ports.ts";
export type { ServerSpec } from "./servers/managed-server.ts";
export { ManagedServer, ServerStartError } from "./servers/managed-server.ts";
export type { NatsOptions } from "./servers/nats.ts";
export { NatsServer, startNats } from "./servers/nats.ts";
export { reachableDataDir } from "./servers/postgres-home.ts";
export type { PostgresOptions } from "./servers/postgres.ts";
export { DATABASE_NAME, OWNER_ROLE, PostgresServer, startPostgres } from "./servers/postgres.ts";
export { childPids, commandLine, isAlive } from "./servers/processes.ts";
export { selfSigned } from "./self-signed.ts";
export type { RedisOptions } from "./servers/redis.ts";
export { RedisServer, startRedis } from "./servers/redis.ts";
export type { SharedPostgres, TestDatabase, TestDatabaseOptions } from "./test-database.ts";
export { SHARED_POSTGRES_VARIABLE, testDatabase } from "./test-database.ts";
export type { InstallOptions, SystemPostgres } from "./tools.ts";
export {
  findSystemPostgres,
  findTool,
  installTool,
  MissingToolError,
  requireSystemPostgres,
  requireTool,
} from "./tools.ts";
export type { UntilOptions } from "./until.ts";
export { DeadlineError, until } from "./until.ts";
