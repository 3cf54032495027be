import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { childPids, isAlive, isFrozen } from "./processes.ts";
import { forgetProcess, reapFolder, reapProcess } from "./reaper.ts";

/** How one kind of server is run. */
export type ServerSpec = {
  /** For messages: "Postgres". */
  name: string;
  url: string;
  port: number;
  /** The server's data. */
  dir: string;
  logFile: string;
  command: string;
  args: string[];
  /** Run as this user (only root can). */
  user?: { uid: number; gid: number };
  env?: NodeJS.ProcessEnv;
  /** Asks for an orderly and quick stop. */
  stopSignal: "SIGINT" | "SIGTERM";
  /** Whether the server answers requests. */
  isReady: () => Promise<boolean>;
  /** How long a start may take (default 30,000). */
  startDeadlineMs?: number;
  /** How long an orderly stop may take before the process is killed (default 10,000). */
  stopDeadlineMs?: number;
  /** Runs before each start: clears what a killed predecessor left behind. */
  prepare?: () => Promise<void>;
  /** Tells from the end of its log that a failed start is worth repeating (a predecessor is still dying). */
  isRetriable?: (log: string) => boolean;
  /** Removed by `[Symbol.asyncDispose]`, and when the process ends. */
  temporaryFolder?: string;
};

/** A server ended, or did not answer in time, when it was started. */
export class ServerStartError extends Error {
  override name = "ServerStartError";
  readonly server: string;
  /** The last lines of its log. */
  readonly log: string;
  readonly logFile: string;

  constructor(spec: ServerSpec, log: string) {
    super(`${spec.name} did not start on port ${spec.port}. Its log ends:\n${log}`);
    this.server = spec.name;
    this.log = log;
    this.logFile = spec.logFile;
  }
}

/** A real server process: started, stopped, killed, frozen and started again on the same port and data. */
export class ManagedServer implements AsyncDisposable {
  readonly spec: ServerSpec;
  #child: ChildProcess | undefined;
  #exited: Promise<void> = Promise.resolve();

  constructor(spec: ServerSpec) {
    this.spec = spec;
    if (spec.temporaryFolder !== undefined) reapFolder(spec.temporaryFolder);
  }

  get url(): string {
    return this.spec.url;
  }

  get port(): number {
    return this.spec.port;
  }

  /** The server's data folder. */
  get dir(): string {
    return this.spec.dir;
  }

  /** The main process, or null while the server is down. */
  get pid(): number | null {
    return this.#child?.pid ?? null;
  }

  /** Resolves when the running process has ended, for whatever reason. */
  get exited(): Promise<void> {
    return this.#exited;
  }

  /** Starts the server and waits until it answers. Does nothing when it runs. */
  async start(): Promise<void> {
    if (this.#child !== undefined) return;
    const endsAt = performance.now() + (this.spec.startDeadlineMs ?? 30_000);
    for (;;) {
      await this.spec.prepare?.();
      this.#spawn();
      if (await this.#becomesReady(endsAt)) return;
      const log = this.logTail();
      if (performance.now() < endsAt && (this.spec.isRetriable?.(log) ?? false)) {
        await delay(100);
        continue;
      }
      await this.kill("SIGKILL");
      throw new Error(
        `${this.spec.name} did not start on port ${this.port}. Its log ends:\n${log}`,
      );
    }
  }

  /** Stops the server in an orderly way; past its deadline it is killed. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child?.pid === undefined) return;
    child.ref(); // the end of the child is an event to wait for
    signal(child.pid, "SIGCONT");
    signal(child.pid, this.spec.stopSignal);
    const deadlineMs = this.spec.stopDeadlineMs ?? 10_000;
    const timer = setTimeout(() => void this.kill("SIGKILL"), deadlineMs);
    await this.#exited;
    clearTimeout(timer);
  }

  /**
   * Sends a signal to the server and to the processes it made (Postgres has one per connection).
   * SIGKILL also waits until the process is gone, SIGSTOP until it is frozen (a process of many threads
   * may still answer for a moment); SIGCONT thaws it.
   */
  async kill(name: NodeJS.Signals = "SIGKILL"): Promise<void> {
    const child = this.#child;
    const pid = child?.pid;
    if (child === undefined || pid === undefined) return;
    const children = childPids(pid);
    signal(pid, name);
    for (const id of children) signal(id, name);
    if (name === "SIGSTOP") {
      while ([pid, ...children].some((id) => isFrozen(id) === false && isAlive(id))) await delay(1);
    }
    if (name !== "SIGKILL") return;
    child.ref();
    await this.#exited;
  }

  /** Stops in an orderly way and starts again: same port, same data. After a `kill`, `start` is enough. */
  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    if (this.spec.temporaryFolder !== undefined) {
      await rm(this.spec.temporaryFolder, { recursive: true, force: true });
    }
  }

  /** The last lines of the server's log. */
  logTail(lines = 15): string {
    try {
      return readFileSync(this.spec.logFile, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
    } catch {
      return "(no log)";
    }
  }

  #spawn(): void {
    const { command, args, user, env, dir, logFile, stopSignal } = this.spec;
    const log = openSync(logFile, "a");
    try {
      const child = spawn(command, args, {
        cwd: dir,
        detached: true, // its own group: a Ctrl-C is ours to pass on, in our order
        stdio: ["ignore", log, log],
        ...(user === undefined ? {} : user),
        env: env ?? { PATH: "/usr/bin:/bin", LANG: "C" },
      });
      this.#child = child;
      this.#exited = new Promise((resolve) => {
        const finish = (): void => {
          if (child.pid !== undefined) forgetProcess(child.pid);
          if (this.#child === child) this.#child = undefined;
          resolve();
        };
        child.once("exit", finish);
        child.once("error", finish);
      });
      // The reaper ends it; a server that was forgotten must not keep a test process alive.
      child.unref();
      if (child.pid !== undefined) reapProcess(child.pid, stopSignal === "SIGINT" ? "INT" : "TERM");
    } finally {
      closeSync(log);
    }
  }

  async #becomesReady(endsAt: number): Promise<boolean> {
    while (performance.now() < endsAt && this.#child !== undefined) {
      if (await this.spec.isReady()) return this.pid !== null;
      await delay(20);
    }
    return false;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // it has ended already
  }
}
