/** For tests and the local stack: the gateway without a process of its own. */
export { buildApp } from "./app.ts";
export type { App } from "./app.ts";
export { configTable, envToConfig } from "./config.ts";
export type { Config } from "./config.ts";
export { buildDeps } from "./deps.ts";
export type { Deps } from "./deps.ts";
export { startGateway } from "./service.ts";
