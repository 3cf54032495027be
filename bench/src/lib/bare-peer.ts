/** The bench's end of a process of bare sockets that stay. */
import { fork, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { BareAnswer, BareAsk } from "./bare-peer-main.ts";

const MAIN = join(import.meta.dirname, "bare-peer-main.ts");

export class BarePeer implements AsyncDisposable {
  readonly #child: ChildProcess;
  #asked: Promise<unknown> = Promise.resolve();

  /** `nodeArgs`: more arguments of Node. */
  constructor(nodeArgs: readonly string[] = []) {
    this.#child = fork(MAIN, { execArgv: ["--expose-gc", ...nodeArgs] });
  }

  get pid(): number {
    const { pid } = this.#child;
    if (pid === undefined) throw new Error("the bare sockets were not started");
    return pid;
  }

  /** @throws what went wrong there */
  ask<Name extends keyof BareAnswer>(
    given: Extract<BareAsk, { ask: Name }>,
  ): Promise<BareAnswer[Name]> {
    const answer = this.#asked.then(() => this.#ask(given));
    this.#asked = answer.catch(() => undefined);
    return answer as Promise<BareAnswer[Name]>;
  }

  async #ask(given: BareAsk): Promise<unknown> {
    const over = new AbortController();
    const { signal } = over;
    try {
      const answered = once(this.#child, "message", { signal });
      const ended = once(this.#child, "exit", { signal });
      this.#child.send(given);
      const answer: unknown = await Promise.race([
        answered.then(([message]: unknown[]) => message),
        ended.then(([code]: unknown[]) => ({ error: `ended with ${String(code)}` })),
      ]);
      const { result, error } = answer as { result?: unknown; error?: string };
      if (error !== undefined) throw new Error(`the bare sockets: ${error}`);
      return result;
    } finally {
      over.abort();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, "exit");
    this.#child.disconnect();
    await ended;
  }
}
