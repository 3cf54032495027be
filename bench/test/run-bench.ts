/** A bench as a person runs it, but small: so that it cannot rot. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";

export type Outcome = {
  /** 0: every bar met. 1: one missed. 2: the machine's limits are too small. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** The first figure that the pattern's group holds. @throws when it is not there */
  figure: (pattern: RegExp) => number;
};

const DEADLINE_MS = 240_000;

/** @param shell put in front, such as "ulimit -n 300;" */
export async function runBench(name: string, args: string[], shell = ""): Promise<Outcome> {
  const file = join(import.meta.dirname, "../src", `${name}.ts`);
  const child = spawn(
    "/bin/sh",
    ["-c", `${shell} exec "$@"`, "bench", process.execPath, file, ...args],
    { stdio: ["ignore", "pipe", "pipe"], timeout: DEADLINE_MS },
  );
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "exit"),
  ]);
  return {
    code: child.exitCode,
    stdout,
    stderr,
    figure: (pattern) => {
      const found = pattern.exec(stdout)?.[1];
      if (found === undefined) throw new Error(`no ${String(pattern)} in:\n${stdout}\n${stderr}`);
      return Number(found);
    },
  };
}
