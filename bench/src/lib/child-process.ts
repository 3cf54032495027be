/** Processes of a bench: started, asked, ended. Their output goes to a file. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync, closeSync, readFileSync } from "node:fs";
import { until } from "@manyline/testkit";

export type ProcessOptions = {
  name: string;
  cwd?: string;
  args: string[];
  env?: NodeJS.ProcessEnv;
  logFile: string;
  /** Whether it does its work now; gets what it has written so far. */
  isReady: (log: string) => boolean | Promise<boolean>;
};

/** A child of this process that runs Node. */
export class BenchProcess implements AsyncDisposable {
  readonly name: string;
  readonly logFile: string;
  readonly #child: ChildProcess;

  private constructor(options: ProcessOptions) {
    this.name = options.name;
    this.logFile = options.logFile;
    const log = openSync(options.logFile, "a");
    this.#child = spawn(process.execPath, options.args, {
      cwd: options.cwd,
      env: { PATH: process.env["PATH"], ...options.env },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
  }

  /** Resolves when it is ready. @throws when it ends before, with the end of its log */
  static async start(options: ProcessOptions): Promise<BenchProcess> {
    const started = new BenchProcess(options);
    try {
      await until(async () => started.hasEnded || (await options.isReady(started.log())), {
        deadlineMs: 60_000,
        intervalMs: 10,
        label: `${options.name} ready`,
      });
      if (started.hasEnded)
        throw new Error(`${options.name} ended: ${started.log().slice(-2_000)}`);
      return started;
    } catch (error) {
      await started.end("SIGKILL");
      throw error;
    }
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error(`${this.name} was not started`);
    return pid;
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null;
  }

  log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Sends the signal and waits for the end. Harmless after it. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.hasEnded || this.#child.pid === undefined) return;
    const ended = once(this.#child, "exit");
    this.#child.kill(signal);
    await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }
}
