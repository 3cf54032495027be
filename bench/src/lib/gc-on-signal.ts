/**
 * Loaded in front of a process whose memory is measured, with `--import`: at SIGUSR2 it frees what is free and
 * writes what is left to the file that MEMORY_FILE names. Needs `--expose-gc`.
 */
import { writeFileSync } from "node:fs";

const { MEMORY_FILE } = process.env;
if (MEMORY_FILE !== undefined) {
  process.on("SIGUSR2", () => {
    for (let times = 0; times < 3; times += 1) globalThis.gc?.();
    writeFileSync(MEMORY_FILE, JSON.stringify(process.memoryUsage()));
  });
}
