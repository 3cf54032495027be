import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answers, assertPortFree, freePort } from "../ports.ts";
import type { InstallOptions } from "../tools.ts";
import { requireTool } from "../tools.ts";
import { ManagedServer } from "./managed-server.ts";

export type RedisOptions = InstallOptions & {
  dir?: string;
  port?: number;
  logFile?: string;
};

/** A real redis-server that keeps nothing on disk: a restart empties it. */
export class RedisServer extends ManagedServer {
  /** Everything is gone afterwards. */
  async wipe(): Promise<void> {
    await this.restart();
  }
}

/** Starts a redis-server on 127.0.0.1 and waits until it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const command = await requireTool("redis-server", options);
  const isTemporary = options.dir === undefined;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "manyline-redis-")));
  await mkdir(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const server = new RedisServer({
    name: "Redis",
    url: `redis://127.0.0.1:${port}`,
    port,
    dir,
    logFile: options.logFile ?? join(dir, "redis.log"),
    command,
    args: [
      "--port",
      String(port),
      "--bind",
      "127.0.0.1",
      "--dir",
      dir,
      "--save",
      "",
      "--appendonly",
      "no",
    ],
    stopSignal: "SIGTERM",
    isReady: () => answers(port, "+PONG", "PING\r\n"),
    prepare: () => assertPortFree("Redis", port),
    ...(isTemporary ? { temporaryFolder: dir } : {}),
  });
  await server.start();
  return server;
}
