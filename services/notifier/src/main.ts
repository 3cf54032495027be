/** The only file that acts on import: environment → configuration → service → wait for a signal. */
import { createLogger, runService, stopTelemetry } from "@manyline/runtime";
import { envToConfig } from "./config.ts";
import { buildDeps } from "./deps.ts";
import { startNotifier } from "./service.ts";

const SERVICE = { service: "notifier", version: process.env["MANYLINE_VERSION"] ?? "dev" };

await runService({
  name: SERVICE.service,
  logger: createLogger(SERVICE),
  start: async (scope) => {
    scope.defer("telemetry", stopTelemetry);
    const config = envToConfig(process.env);
    const logger = createLogger({ ...SERVICE, level: config.logLevel });
    await startNotifier(buildDeps(config, logger), scope);
  },
});
