import { answerHealth, createHealth, HEALTH_PATHS, metricsText } from "@manyline/runtime";
import Fastify from "fastify";
import type { FastifyInstance } from "fastify";
import type { Deps } from "./deps.ts";

export type HttpApp = FastifyInstance;

/** Health and metrics, nothing else. Ready means Postgres with the right schema: without NATS there is nothing to do. */
export async function buildServer(
  deps: Deps,
  isPrepared: () => boolean,
): Promise<{ app: HttpApp; markStopping: () => void }> {
  const app = Fastify({ exposeHeadRoutes: false, forceCloseConnections: "idle" });
  const health = createHealth({
    checks: {
      postgres: async () => {
        await deps.db.ping();
        if (!isPrepared()) throw new Error("the schema was not checked yet");
      },
    },
    onChange: (name, state, error) =>
      deps.logger.warn(
        { event: "health.changed", check: name, state, err: error },
        "health changed",
      ),
  });
  for (const path of HEALTH_PATHS) {
    app.get(path, async (_request, reply) => {
      const answer = await answerHealth(path, { health, metricsText });
      return reply
        .code(answer.status)
        .header("cache-control", "no-store")
        .type(answer.contentType)
        .send(answer.body);
    });
  }
  app.setNotFoundHandler((_request, reply) => reply.code(404).send({ success: false }));
  await app.ready();
  return { app, markStopping: () => health.markStopping() };
}
