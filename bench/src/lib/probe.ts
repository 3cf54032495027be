/**
 * Loaded into a worker process by `--import`, with `--expose-gc`: at SIGUSR2 it collects garbage and writes one
 * line of JSON about its insides into the file that BENCH_PROBE names.
 */
import { appendFileSync } from "node:fs";

/** `resources`: what keeps the process alive (timers, sockets, …), by kind. */
export type Probe = {
  heapUsed: number;
  external: number;
  resources: Record<string, number>;
};

const file = process.env["BENCH_PROBE"];
if (file !== undefined) {
  process.on("SIGUSR2", () => {
    globalThis.gc?.();
    const { heapUsed, external } = process.memoryUsage();
    const resources: Record<string, number> = {};
    for (const kind of process.getActiveResourcesInfo()) {
      resources[kind] = (resources[kind] ?? 0) + 1;
    }
    appendFileSync(file, `${JSON.stringify({ heapUsed, external, resources } satisfies Probe)}\n`);
  });
}
