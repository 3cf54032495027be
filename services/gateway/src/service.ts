import { assertSchema, ensureAdminToken, inTransaction, isUnavailable } from "@manyline/db";
import type { ServiceScope } from "@manyline/runtime";
import { buildApp } from "./app.ts";
import type { App } from "./app.ts";
import { giveCommonToken } from "./common-token.ts";
import type { Deps } from "./deps.ts";

const PREPARE_RETRY_MS = 1_000;

export type Gateway = {
  readonly app: App;
  /** Where it listens, e.g. `http://127.0.0.1:3000`. */
  readonly url: string;
};

/**
 * Starts listening at once; the API answers 503 until Postgres is there with the right schema. Stops in
 * this order: not ready, no new requests, streams ended, connections closed, servers disconnected.
 */
export async function startGateway(deps: Deps, scope: ServiceScope): Promise<Gateway> {
  const { config, logger, bus, redis } = deps;
  scope.defer("databases", () =>
    Promise.all([deps.appDb.stop(), deps.platformDb.stop(), deps.relayDb.stop()]),
  );
  if (redis) scope.defer("redis", () => redis.disconnect());
  scope.defer("bus", () => bus.close());
  scope.defer("relay", () => deps.relay.stop());
  scope.defer("commands", () => deps.commands.stop());

  let isPrepared = false;
  const preparing = prepare(deps, scope.signal).then((done) => {
    isPrepared = done;
    if (done) deps.jobs.start();
    return undefined;
  });
  scope.defer("jobs", () => deps.jobs.stop());
  scope.defer("preparing", () => preparing);
  const { app, markStopping } = await buildApp(deps, () => isPrepared);
  scope.defer("http", () => app.close());
  scope.defer("streams", () => deps.streams.stop());
  scope.defer("readiness", markStopping);

  deps.commands.start();
  const url = await app.listen({ port: config.http.port, host: config.http.host });
  logger.info({ event: "gateway.listening", url }, "listening");
  return { app, url };
}

/** Waits for a Postgres with this build's schema, and makes the operator's token work. */
async function prepare(deps: Deps, signal: AbortSignal): Promise<boolean> {
  const { platformDb, config, logger, clock } = deps;
  let lastProblem = "";
  while (!signal.aborted) {
    try {
      await assertSchema(platformDb);
      await inTransaction(platformDb, (tx) => ensureAdminToken(tx, config.adminToken));
      await giveCommonToken(deps).catch((error: unknown) => {
        if (isUnavailable(error)) throw error;
        // Nobody else has to wait for it.
        logger.error({ err: error }, "the token of the environment was not given to numbers");
      });
      return true;
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      if (problem !== lastProblem) logger.warn({ err: error }, "waiting for the database");
      lastProblem = problem;
      await clock.sleep(PREPARE_RETRY_MS, signal).catch(() => undefined);
    }
  }
  return false;
}
