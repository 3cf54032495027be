import { setTimeout as delay } from "node:timers/promises";
import type { ManagedServer } from "@manyline/testkit";
import type { Progress } from "./progress.ts";
import { excerpt } from "./progress.ts";

const LONGEST_PAUSE_MS = 30_000;
/** A process that ran this long has earned a fresh start of the back-off. */
const STEADY_MS = 60_000;

/**
 * Processes that are kept running until they are stopped. What crashes is started again, after 1, 2,
 * 4 … 30 s, and a line says so.
 */
export class Supervisor {
  readonly #report: Progress;
  readonly #stopping = new AbortController();
  readonly #watches: { server: ManagedServer; watch: Promise<void> }[] = [];
  readonly #starting = new Set<ManagedServer>();

  constructor(report: Progress) {
    this.#report = report;
  }

  /** Aborted once everything is to end. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  /** Starts a process that is ready when it returns, and keeps it running from then on. */
  async start(server: ManagedServer): Promise<void> {
    this.#stopping.signal.throwIfAborted();
    this.#starting.add(server);
    try {
      await server.start();
    } finally {
      this.#starting.delete(server);
    }
    this.adopt(server);
  }

  /** Keeps a process running that somebody else has started. */
  adopt(server: ManagedServer): void {
    this.#watches.push({ server, watch: this.#watch(server) });
  }

  /**
   * Nothing is started again from now on. Call before `stop`; it also makes a start that is under way
   * give up.
   */
  async beginStop(): Promise<void> {
    this.#stopping.abort(new Error("stopping"));
    await Promise.all([...this.#starting].map((server) => server.kill("SIGKILL")));
  }

  /** Stops these processes at the same time. Those that do not run are done already. */
  async stop(isWanted: (server: ManagedServer) => boolean): Promise<void> {
    const wanted = this.#watches.filter(({ server }) => isWanted(server));
    await Promise.all(
      wanted.map(async ({ server, watch }) => {
        await server.stop();
        await watch;
        await server.stop(); // a start that was under way may have come through
      }),
    );
  }

  /** Ends everything without asking. */
  async kill(): Promise<void> {
    await Promise.all(this.#watches.map(({ server }) => server.kill("SIGKILL")));
  }

  async #watch(server: ManagedServer): Promise<void> {
    const { signal } = this.#stopping;
    let pauseMs = 1000;
    let startedAt = performance.now();
    for (;;) {
      await server.exited;
      if (signal.aborted) return;
      if (performance.now() - startedAt > STEADY_MS) pauseMs = 1000;
      this.#report(
        `${server.spec.name} ended unexpectedly; starting it again in ${pauseMs / 1000} s. ` +
          `Its log: ${server.spec.logFile}\n${excerpt(server.logTail())}`,
      );
      await delay(pauseMs, undefined, { signal }).catch(() => {});
      if (signal.aborted) return;
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS);
      startedAt = performance.now();
      try {
        await server.start();
        this.#report(`${server.spec.name} runs again`);
      } catch {
        // it has ended: the next round says so
      }
    }
  }
}
