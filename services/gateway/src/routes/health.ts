import { answerHealth, createHealth, metricsText } from "@manyline/runtime";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";

/**
 * `/health/ready` needs Postgres only: without NATS or Redis everything still works, so their state is
 * told and decides nothing.
 */
export function registerHealth(app: App, deps: Deps, isPrepared: () => boolean): () => void {
  const health = createHealth({
    checks: {
      postgres: async () => {
        await deps.platformDb.ping();
        if (!isPrepared()) throw new Error("the schema was not checked yet");
      },
    },
    onChange: (name, state, error) =>
      deps.logger.warn(
        { event: "health.changed", check: name, state, err: error },
        "health changed",
      ),
  });
  const routes = { health, metricsText };
  const schema = { hide: true };

  app.get("/health/live", { schema }, async (_request, reply) => {
    const answer = await answerHealth("/health/live", routes);
    return reply.code(answer.status).type(answer.contentType).send(answer.body);
  });
  app.get("/health/ready", { schema }, async (_request, reply) => {
    const { status, checks } = await health.ready();
    const nats = deps.bus.connected ? "ok" : "failed";
    const redis =
      deps.redis === undefined ? "absent" : deps.redis.status === "ready" ? "ok" : "failed";
    return reply
      .code(status === "ok" ? 200 : 503)
      .header("cache-control", "no-store")
      .send({ status, checks, optional: { nats, redis } });
  });
  app.get("/metrics", { schema }, async (_request, reply) => {
    const answer = await answerHealth("/metrics", routes);
    return reply.code(answer.status).type(answer.contentType).send(answer.body);
  });
  return () => health.markStopping();
}
