import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { answers, assertPortFree, freePort } from "../ports.ts";
import type { InstallOptions } from "../tools.ts";
import { requireTool } from "../tools.ts";
import { ManagedServer } from "./managed-server.ts";

export type NatsOptions = InstallOptions & {
  /** Folder of JetStream's store, kept afterwards. Without it: a temporary one, removed at the end. */
  dir?: string;
  port?: number;
  /** More lines for the server's configuration file: accounts, permissions, limits. */
  config?: string;
  logFile?: string;
};

/** A real nats-server with JetStream. */
export class NatsServer extends ManagedServer {
  /** Stops the server, removes everything in JetStream's store, and starts it again. */
  async wipe(): Promise<void> {
    await this.stop();
    await rm(join(this.dir, "jetstream"), { recursive: true, force: true });
    await this.start();
  }

  /**
   * Copies the store (the server is down for that moment) and returns what puts this older copy back,
   * as a power loss without synchronous writes does: streams keep their creation time and lose their
   * newest messages.
   */
  async saveStore(): Promise<{ restore: () => Promise<void> }> {
    const store = join(this.dir, "jetstream");
    const copy = join(this.dir, `copy-${Date.now()}`);
    await this.stop();
    await cp(store, copy, { recursive: true });
    await this.start();
    const restore = async (): Promise<void> => {
      await this.kill("SIGKILL");
      await rm(store, { recursive: true, force: true });
      await cp(copy, store, { recursive: true });
      await this.start();
    };
    return { restore };
  }
}

/**
 * Starts a nats-server with JetStream on 127.0.0.1 and waits until it answers. The program is that of
 * `NATS_SERVER_BIN`, else the one on PATH, else it is installed.
 */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  const env = options.env ?? process.env;
  const command = env["NATS_SERVER_BIN"] ?? (await requireTool("nats-server", options));
  const isTemporary = options.dir === undefined;
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), "manyline-nats-")));
  await mkdir(dir, { recursive: true });
  const port = options.port ?? (await freePort());
  const configFile = join(dir, "nats.conf");
  await writeFile(configFile, options.config ?? "");
  const server = new NatsServer({
    name: "NATS",
    url: `nats://127.0.0.1:${port}`,
    port,
    dir,
    logFile: options.logFile ?? join(dir, "nats.log"),
    command,
    // The server appends /jetstream to its store folder.
    args: ["-a", "127.0.0.1", "-p", String(port), "-js", "-sd", dir, "-c", configFile],
    stopSignal: "SIGTERM",
    isReady: () => answers(port, "INFO {"),
    prepare: () => assertPortFree("NATS", port),
    ...(isTemporary ? { temporaryFolder: dir } : {}),
  });
  await server.start();
  return server;
}
