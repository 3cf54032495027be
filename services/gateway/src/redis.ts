import { Redis } from "ioredis";
import type { Logger } from "@manyline/runtime";

/** How long a request may wait for Redis before it goes on without. */
const COMMAND_TIMEOUT_MS = 250;

/** A Redis that is never waited for: commands fail at once while there is no connection. */
export function connectRedis(url: string, logger: Logger): Redis {
  const redis = new Redis(url, {
    connectionName: "manyline-gateway",
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: 2_000,
    retryStrategy: (times) => Math.min(2_000, 100 * times),
  });
  let isDown = false;
  redis.on("error", (error: unknown) => {
    if (!isDown) logger.warn({ err: error }, "redis is not reachable, counting locally");
    isDown = true;
  });
  redis.on("ready", () => {
    if (isDown) logger.info("redis is reachable again");
    isDown = false;
  });
  return redis;
}
