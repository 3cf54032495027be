import { listWorkers, readMetrics } from "@manyline/db";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { metricsAnswer } from "../domain/operations.ts";
import { problems, ref } from "./schemas.ts";

export function registerMetrics(app: App, deps: Deps): void {
  app.get(
    "/api/whatsapp/metrics",
    {
      schema: {
        tags: ["operations"],
        summary: "Figures of the whole system",
        response: { 200: ref("Metrics"), ...problems },
      },
    },
    async () => {
      const row = await readMetrics(deps.platformDb);
      const workers = await listWorkers(deps.platformDb);
      return metricsAnswer(row, workers, deps.clock.now());
    },
  );
}
