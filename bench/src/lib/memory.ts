/** What a process keeps, after it has let go of what it does not need. */
import { setTimeout as delay } from "node:timers/promises";

export type Memory = { rss: number; heapUsed: number };

const TIMES = 3;
/** The engine gives pages back to the system some time after a collection. */
const PAUSE_MS = 1_000;

/** Needs `--expose-gc`. In bytes. */
export async function memoryNow(): Promise<Memory> {
  for (let times = 0; times < TIMES; times += 1) {
    globalThis.gc?.();
    await delay(PAUSE_MS);
  }
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heapUsed };
}
