/** A small process for `process.test.ts`: what it does is said by its environment. */
import {
  createHealth,
  createLogger,
  currentTraceparent,
  metricsText,
  readConfig,
  registerProcessMetrics,
  runService,
  startHealthServer,
  withSpan,
} from "../src/index.ts";

const logger = createLogger({ service: "sample", version: "0" });

await runService({
  name: "sample",
  logger,
  graceMs: 500,
  forceMs: 300,
  start: async (scope) => {
    const config = readConfig(process.env, (r) => ({
      port: r.port("PORT"),
      mode: r.oneOf("MODE", ["plain", "leak", "throw", "reject", "hang"], { default: "plain" }),
    }));
    scope.defer("process metrics", registerProcessMetrics());
    const health = createHealth({ checks: {} });
    const server = await startHealthServer({
      port: config.port,
      host: "127.0.0.1",
      health,
      metricsText,
    });
    scope.defer("http", () => server.close());
    const traceparent = await withSpan("start", {}, () => currentTraceparent());
    logger.info({ port: server.port, traceparent }, "listening");
    if (config.mode === "leak") setInterval(() => undefined, 1_000);
    if (config.mode === "hang") scope.defer("hangs", () => new Promise(() => undefined));
    if (config.mode === "throw") {
      setImmediate(() => {
        throw new Error("thrown later");
      });
    }
    if (config.mode === "reject") void Promise.reject(new Error("rejected later"));
  },
});
