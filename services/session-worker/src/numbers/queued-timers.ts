/** Named timers whose tasks run in a number's queue; a task that waits in it when its timer is cleared does not run. */
import type { Clock } from "@manyline/runtime";
import type { SerialQueue } from "./serial-queue.ts";

export class QueuedTimers<Name extends string> {
  readonly #clock: Clock;
  readonly #queue: SerialQueue;
  readonly #signal: AbortSignal;
  readonly #onError: (error: unknown) => void;
  readonly #cancels = new Map<Name, () => void>();

  constructor(
    clock: Clock,
    queue: SerialQueue,
    signal: AbortSignal,
    onError: (error: unknown) => void,
  ) {
    this.#clock = clock;
    this.#queue = queue;
    this.#signal = signal;
    this.#onError = onError;
  }

  /** Runs `task` after `ms`, in place of what the name stood for before. */
  set(name: Name, ms: number, task: () => Promise<void> | void): void {
    this.#cancels.get(name)?.();
    let isCancelled = false;
    const run = async (): Promise<void> => {
      if (!isCancelled && !this.#signal.aborted) await task();
    };
    const cancel = this.#clock.setTimer(ms, () => {
      this.#queue.add(run).catch(this.#onError);
    });
    this.#cancels.set(name, () => {
      isCancelled = true;
      cancel();
    });
  }

  clear(): void {
    for (const cancel of this.#cancels.values()) cancel();
    this.#cancels.clear();
  }
}
