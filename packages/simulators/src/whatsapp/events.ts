/** Typed events with a waiting form for tests. A listener's exception is the emitter's business, not hidden. */
export class TypedEvents<Events extends Record<string, unknown>> {
  readonly #listeners = new Map<keyof Events, Set<(value: never) => void>>();

  /** @returns a function that removes the listener */
  on<Name extends keyof Events>(name: Name, listener: (value: Events[Name]) => void): () => void {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners);
    listeners.add(listener);
    return () => listeners.delete(listener);
  }

  emit<Name extends keyof Events>(name: Name, value: Events[Name]): void {
    const listeners = this.#listeners.get(name);
    if (!listeners) return;
    for (const listener of [...listeners] as ((value: Events[Name]) => void)[]) listener(value);
  }

  /**
   * The next event that passes the filter. Subscribe before causing it.
   * @param ms deadline in real milliseconds; the promise rejects after it
   */
  once<Name extends keyof Events>(
    name: Name,
    filter: (value: Events[Name]) => boolean = () => true,
    ms = 10_000,
  ): Promise<Events[Name]> {
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        clearTimeout(timer);
        off();
        finish();
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`no '${String(name)}' event within ${ms} ms`))),
        ms,
      );
      const off = this.on(name, (value) => {
        if (filter(value)) settle(() => resolve(value));
      });
    });
  }
}
