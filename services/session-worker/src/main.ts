/** The only file that acts on import: environment → configuration → worker → wait for a signal. */
import { hostname } from "node:os";
import { createLogger, explainStartError, runService } from "@manyline/runtime";
import { envToConfig, type Config } from "./config.ts";
import { isOfLibrary } from "./providers/linked/library-errors.ts";
import { startWorker } from "./service.ts";

const SERVICE = { service: "session-worker", version: process.env["MANYLINE_VERSION"] ?? "dev" };

/** For what is left to stop after the hand-over. */
const STOP_MS = 20_000;

let config: Config | undefined;
try {
  config = envToConfig(process.env);
} catch (error) {
  createLogger(SERVICE).fatal(
    { event: "config.invalid" },
    explainStartError(error) ?? String(error),
  );
  process.exitCode = 1;
}
if (config) {
  const settled = config;
  const host = settled.workerHost ?? hostname();
  const logger = createLogger({ ...SERVICE, level: settled.logLevel }).child({ host });
  const service = await runService({
    name: SERVICE.service,
    logger,
    graceMs: settled.drainMs + STOP_MS,
    isBearable: isOfLibrary,
    start: (scope) => startWorker(settled, { host, version: SERVICE.version }, logger, scope),
  });
  await service.ended;
  // Everything is closed and flushed. What still holds the event loop are timers that Baileys leaves behind
  // with a closed socket (up to 30 s each); waiting for them would only delay the next owner.
  process.exit();
}
