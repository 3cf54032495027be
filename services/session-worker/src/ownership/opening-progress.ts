/** Says in the log how far a cold start or a take-over is. Metrics and REST have the same figures at any moment. */
import type { Clock, Logger } from "@manyline/runtime";
import type { Fleet } from "./fleet.ts";

const EVERY_MS = 5_000;
/** Fewer than this waiting is ordinary life. */
const WORTH_TELLING = 25;

/** Answers how to stop it. */
export function reportOpening(fleet: Fleet, clock: Clock, logger: Logger): () => void {
  let startedAt: number | undefined;
  const timer = setInterval(() => {
    const { numbers, connected, opening, waiting } = fleet.report();
    const now = clock.monotonic();
    const figures = { numbers, connected, opening, waiting };
    if (waiting >= WORTH_TELLING) {
      startedAt ??= now;
      logger.info({ event: "fleet.opening", ...figures }, "opening connections");
    } else if (startedAt !== undefined && waiting + opening === 0) {
      const seconds = Math.round((now - startedAt) / 1_000);
      logger.info({ event: "fleet.opened", ...figures, seconds }, "connections opened");
      startedAt = undefined;
    }
  }, EVERY_MS);
  return () => clearInterval(timer);
}
