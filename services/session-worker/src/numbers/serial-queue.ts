/** Runs tasks one after another. A number's inputs, timers and commands never overlap. */
export class SerialQueue {
  #tail: Promise<unknown> = Promise.resolve();

  /** Resolves or rejects as the task does; a rejection does not stop those behind it. */
  add<T>(task: () => Promise<T> | T): Promise<T> {
    const run = this.#tail.then(task);
    this.#tail = run.catch(() => undefined);
    return run;
  }

  /** Resolves when everything added so far has run. */
  async idle(): Promise<void> {
    await this.#tail;
  }
}
