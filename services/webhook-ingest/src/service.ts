import { EVENTS_MAX_AGE_MS, EVENTS_STREAM, streamSubjects } from "@manyline/contracts";
import { assertSchema } from "@manyline/db";
import { createMetrics, registerProcessMetrics } from "@manyline/runtime";
import type { ServiceScope } from "@manyline/runtime";
import type { Deps } from "./deps.ts";
import { buildServer } from "./server.ts";

const PREPARE_RETRY_MS = 1_000;

/**
 * Starts listening at once; webhooks are answered 503 until Postgres is there. Stops in this order: not ready,
 * no new requests, those under way committed and answered, connections closed.
 */
export async function startIngest(deps: Deps, scope: ServiceScope): Promise<{ url: string }> {
  const { config, logger, bus, relay } = deps;
  scope.defer("databases", () => Promise.all([deps.db.stop(), deps.relayDb.stop()]));
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

  let isPrepared = false;
  const preparing = prepare(deps, scope.signal).then((done) => {
    isPrepared = done;
    if (done) {
      deps.journalReader.start();
      deps.replayer.start();
    }
    return undefined;
  });
  scope.defer("replayer", () => deps.replayer.stop());
  scope.defer("preparing", () => preparing);
  scope.defer("commits", () => Promise.all([deps.ingestor.idle(), deps.wpp.idle()]));
  scope.defer("journal", () => deps.journalReader.stop());
  const { app, markStopping } = await buildServer(deps, () => isPrepared);
  scope.defer("http", () => app.close());
  scope.defer("readiness", markStopping);

  const url = await app.listen({ port: config.http.port, host: config.http.host });
  logger.info({ event: "ingest.listening", url }, "listening");
  return { url };
}

function registerMetrics({ ingestor, wpp }: Deps): () => void {
  const metrics = createMetrics("webhook-ingest");
  const ends = [
    registerProcessMetrics(),
    metrics.gauge(
      "ingest_waiting",
      { description: "webhooks that wait for their commit", unit: "bytes" },
      () => ingestor.waitingBytes + wpp.waitingBytes,
    ),
    metrics.gauge(
      "ingest_behind",
      { description: "webhooks that are answered and wait for their commit", unit: "none" },
      () => ingestor.journaled.size,
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
