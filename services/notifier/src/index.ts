/** For tests and benches: notifier without a process of its own. */
export { configTable, envToConfig } from "./config.ts";
export type { Config } from "./config.ts";
export { buildDeps } from "./deps.ts";
export type { Deps } from "./deps.ts";
export { startNotifier } from "./service.ts";
