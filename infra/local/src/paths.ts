import { dirname, join, resolve } from "node:path";

/** The clone's top folder. */
export const ROOT = resolve(dirname(import.meta.dirname), "..", "..");

/** The folder of this clone's data: `.data`, or the one of MANYLINE_DATA. */
export function dataFolder(env: NodeJS.ProcessEnv): string {
  const given = env["MANYLINE_DATA"] ?? "";
  return given === "" ? join(ROOT, ".data") : resolve(given);
}

/** Where `npm start` keeps everything it makes; `--fresh` empties it. Not in git. */
export function dataPaths(data: string): {
  data: string;
  logs: string;
  postgres: string;
  nats: string;
  media: string;
  redis: string;
  simulator: string;
  secrets: string;
  adminToken: string;
  running: string;
  tools: string;
  tests: string;
} {
  return {
    data,
    logs: join(data, "logs"),
    postgres: join(data, "postgres"),
    nats: join(data, "nats"),
    media: join(data, "media"),
    redis: join(data, "redis"),
    simulator: join(data, "simulator"),
    secrets: join(data, "secrets.json"),
    adminToken: join(data, "admin-token"),
    running: join(data, "running.json"),
    tools: join(data, "tools"),
    tests: join(data, "tests"),
  };
}

export type DataPaths = ReturnType<typeof dataPaths>;
