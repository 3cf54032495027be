import { existsSync, readFileSync } from "node:fs";
import { rename } from "node:fs/promises";
import { join } from "node:path";
import { isPortTaken, ManagedServer } from "@manyline/testkit";
import { Refusal } from "./refusal.ts";

/** A room's program as a child process: a service, or the simulated WhatsApp. */
export type ProgramOptions = {
  name: string;
  root: string;
  /** The room: its programs run in its folder. */
  room: string;
  /** Within the room. */
  entry: string;
  /** Services load their telemetry before anything else. */
  hasTelemetry?: boolean;
  /** Of Node itself. */
  nodeArgs?: string[];
  args?: string[];
  env: NodeJS.ProcessEnv;
  port: number;
  logs: string;
  isReady: (log: string) => Promise<boolean>;
};

export function createProgram(options: ProgramOptions): ManagedServer {
  const { name, port } = options;
  const dir = join(options.root, options.room);
  const logFile = join(options.logs, `${name}.log`);
  return new ManagedServer({
    name,
    url: `http://127.0.0.1:${port}`,
    port,
    dir,
    logFile,
    command: process.execPath,
    args: [
      "--enable-source-maps",
      ...(options.nodeArgs ?? []),
      ...(options.hasTelemetry === true ? ["--import", "@manyline/runtime/telemetry"] : []),
      join(dir, options.entry),
      ...(options.args ?? []),
    ],
    env: { OTEL_SERVICE_NAME: name, ...options.env },
    stopSignal: "SIGTERM",
    startDeadlineMs: 60_000,
    stopDeadlineMs: 20_000,
    isReady: () => options.isReady(readText(logFile)),
    prepare: async () => {
      // One log per run, and the one before it, for whoever wonders why it ended.
      if (existsSync(logFile)) await rename(logFile, join(options.logs, `${name}.previous.log`));
      if (await isPortTaken(port)) throw new Refusal(`Port ${port}, of ${name}, is in use.`);
    },
  });
}

/** Whether a service says that it is ready for work. */
export async function isHealthy(port: number): Promise<boolean> {
  try {
    const url = `http://127.0.0.1:${port}/health/ready`;
    const response = await fetch(url, { signal: AbortSignal.timeout(2000) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
