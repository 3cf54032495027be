import { answerHealth, createHealth, HEALTH_PATHS, metricsText } from "@manyline/runtime";
import type { Deps } from "../deps.ts";
import type { HttpApp } from "../server.ts";

/** Ready means Postgres with the right schema: without NATS events wait in their log. */
export function registerHealth(app: HttpApp, deps: Deps, isPrepared: () => boolean): () => void {
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
  return () => health.markStopping();
}
