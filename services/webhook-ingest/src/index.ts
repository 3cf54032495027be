/** For tests and benches: webhook-ingest without a process of its own. */
export { configTable, envToConfig } from "./config.ts";
export type { Config } from "./config.ts";
export { buildDeps } from "./deps.ts";
export type { Deps } from "./deps.ts";
export { startIngest } from "./service.ts";
