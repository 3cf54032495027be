import { readFileSync } from "node:fs";
import type { ManagedServer } from "@manyline/testkit";

export type FleetWorkerState = "running" | "paused" | "ended";

/** One worker process of a fleet. */
export class FleetWorker implements AsyncDisposable {
  readonly label: string;
  readonly generation: number;
  #server: ManagedServer | undefined;
  #state: FleetWorkerState = "running";

  constructor(label: string, generation: number) {
    this.label = label;
    this.generation = generation;
  }

  get state(): FleetWorkerState {
    return this.#state;
  }
  get pid(): number | null {
    return this.#server?.pid ?? null;
  }

  /** @throws when the process ends before it is ready */
  async start(server: ManagedServer): Promise<void> {
    this.#server = server;
    await server.start();
  }

  /** SIGTERM, and waits for the end: the worker hands everything over. */
  async stop(): Promise<void> {
    await this.#server?.stop();
    this.#state = "ended";
  }

  /** SIGKILL, in the middle of whatever it does. */
  async kill(): Promise<void> {
    this.#state = "ended";
    await this.#server?.kill("SIGKILL");
  }

  /** SIGSTOP: a process that hangs, or a machine that sleeps. Its connections stay open and silent. */
  async pause(): Promise<void> {
    this.#state = "paused";
    await this.#server?.kill("SIGSTOP");
  }

  /** SIGCONT: it goes on as if nothing had been. */
  async resume(): Promise<void> {
    await this.#server?.kill("SIGCONT");
    this.#state = "running";
  }

  /** Its log lines, parsed; what is not JSON is left out. */
  log(): Record<string, unknown>[] {
    const file = this.#server?.spec.logFile;
    if (file === undefined) return [];
    return readFileSync(file, "utf8")
      .split("\n")
      .flatMap((line) => {
        try {
          const value: unknown = JSON.parse(line);
          return typeof value === "object" && value !== null ? [{ ...value }] : [];
        } catch {
          return [];
        }
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
