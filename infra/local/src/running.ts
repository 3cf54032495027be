import { readFileSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { commandLine, isAlive } from "@manyline/testkit";
import type { DataPaths } from "./paths.ts";
import { Refusal } from "./refusal.ts";

/** What a running `npm start` says about itself, for a second one and for `npm run manyline`. */
export type Running = { pid: number; publicUrl: string };

/**
 * Marks this clone as running. Throws a Refusal when another `npm start` runs in it; the mark of one
 * that was killed is replaced.
 */
export async function claimClone(paths: DataPaths, mine: Running): Promise<void> {
  for (;;) {
    try {
      await writeFile(paths.running, JSON.stringify(mine), { flag: "wx" });
      return;
    } catch (error) {
      if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    }
    const other = readRunning(paths);
    if (other !== undefined) {
      throw new Refusal(
        `Manyline already runs in this clone (process ${other.pid}, ${other.publicUrl}); stop it with Ctrl-C there.`,
      );
    }
    await rm(paths.running, { force: true });
  }
}

export async function releaseClone(paths: DataPaths): Promise<void> {
  await rm(paths.running, { force: true });
}

/** The `npm start` that runs in this clone, if any. */
export function readRunning(paths: DataPaths): Running | undefined {
  let value: unknown;
  try {
    value = JSON.parse(readFileSync(paths.running, "utf8"));
  } catch {
    return undefined;
  }
  if (!isRunning(value)) return undefined;
  // The id of a process that was killed may belong to somebody else by now.
  const isOurs = isAlive(value.pid) && commandLine(value.pid).includes("start.ts");
  return isOurs ? value : undefined;
}

function isRunning(value: unknown): value is Running {
  return (
    typeof value === "object" &&
    value !== null &&
    "pid" in value &&
    typeof value.pid === "number" &&
    "publicUrl" in value &&
    typeof value.publicUrl === "string"
  );
}
