/**
 * Loaded in front of a process whose memory is measured, with `--import`: at SIGUSR2 it frees what is free and
 * writes what is left to the file that MEMORY_FILE names. Needs `--expose-gc`.
 */
import { writeFileSync } from "node:fs";
import { memoryNow } from "./memory.ts";

const { MEMORY_FILE } = process.env;
if (MEMORY_FILE !== undefined) {
  process.on("SIGUSR2", () => {
    void memoryNow().then((memory) => writeFileSync(MEMORY_FILE, JSON.stringify(memory)));
  });
}
