import { EVENTS_MAX_AGE_MS, EVENTS_STREAM, streamSubjects } from "@manyline/contracts";
import { assertSchema } from "@manyline/db";
import { createMetrics, registerProcessMetrics } from "@manyline/runtime";
import type { ServiceScope } from "@manyline/runtime";
import type { Deps } from "./deps.ts";
import { buildServer } from "./server.ts";

const PREPARE_RETRY_MS = 1_000;

/**
 * Starts listening at once; events are taken when Postgres is there. Stops in this order: not ready, no more events, what
 * is under way delivered and noted, connections closed.
 */
export async function startNotifier(deps: Deps, scope: ServiceScope): Promise<{ url: string }> {
  const { config, logger, bus, relay, queues, intake, codes, notices } = deps;
  scope.defer("databases", () =>
    Promise.all([deps.db.stop(), deps.noticesDb.stop(), deps.relayDb.stop()]),
  );
  scope.defer("bus", () => bus.close());
  bus.declareStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: EVENTS_MAX_AGE_MS,
    maxBytes: -1,
    replicas: config.natsReplicas,
  });
  relay.start();
  scope.defer("relay", () => relay.stop());
  const endStatus = bus.onStatus((status) => {
    if (status.connected) void relay.onReconnect();
  });
  scope.defer("relay status", endStatus);
  scope.defer("metrics", registerMetrics(deps));
  scope.defer("connections", () => deps.connections.close());
  scope.defer("queues", () => Promise.all([queues.stop(), codes.stop(), notices.stop()]));

  let isPrepared = false;
  const preparing = prepare(deps, scope.signal).then((done) => {
    isPrepared = done;
    if (!done) return undefined;
    const readers = [codes.listen(bus), notices.start()];
    scope.defer("readers", () =>
      Promise.all([intake.stop(), ...readers.map((reader) => reader.close())]),
    );
    intake.start();
    queues.start();
    return undefined;
  });
  scope.defer("preparing", () => preparing);
  const { app, markStopping } = await buildServer(deps, () => isPrepared);
  scope.defer("http", () => app.close());
  scope.defer("readiness", markStopping);

  const url = await app.listen({ port: config.http.port, host: config.http.host });
  logger.info({ event: "notifier.listening", url }, "listening");
  return { url };
}

function registerMetrics({ queues, intake }: Deps): () => void {
  const metrics = createMetrics("notifier");
  const ends = [
    registerProcessMetrics(),
    metrics.gauge(
      "webhook_under_way",
      { description: "deliveries that wait for their endpoint's answer" },
      () => queues.underWay,
    ),
    metrics.gauge(
      "webhook_intake",
      { description: "1: this process puts the stream into the queues; one of all does" },
      () => Number(intake.isReading),
    ),
  ];
  return () => {
    for (const end of ends) end();
  };
}

/** Waits for a Postgres with this build's schema. */
async function prepare({ db, logger, clock }: Deps, signal: AbortSignal): Promise<boolean> {
  let lastProblem = "";
  while (!signal.aborted) {
    try {
      await assertSchema(db);
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
