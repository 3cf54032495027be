import { createLogger, runService, stopTelemetry } from "@manyline/runtime";
import { envToConfig } from "./config.ts";
import { buildDeps } from "./deps.ts";
import { startGateway } from "./service.ts";

const bootLogger = createLogger({ service: "gateway", version: "1.0.0" });
await runService({
  name: "gateway",
  logger: bootLogger,
  start: async (scope) => {
    scope.defer("telemetry", stopTelemetry);
    const config = envToConfig(process.env);
    const logger = createLogger({ service: "gateway", version: "1.0.0", level: config.logLevel });
    await startGateway(buildDeps(config, logger), scope);
  },
});
