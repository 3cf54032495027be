/** What was used last, up to so many entries. No clock: it is only as large as it may be. */
export class Lru<Value> {
  /** Oldest use first. */
  readonly #entries = new Map<string, Value>();
  readonly #max: number;

  constructor(max: number) {
    this.#max = max;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(name: string): Value | undefined {
    const value = this.#entries.get(name);
    if (value !== undefined) {
      this.#entries.delete(name);
      this.#entries.set(name, value);
    }
    return value;
  }

  set(name: string, value: Value): void {
    this.#entries.delete(name);
    this.#entries.set(name, value);
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= this.#max) break;
      this.#entries.delete(oldest);
    }
  }

  /** Drops what does not pass. Returns how many. */
  sweep(isWanted: (name: string) => boolean): number {
    const before = this.#entries.size;
    for (const name of this.#entries.keys()) if (!isWanted(name)) this.#entries.delete(name);
    return before - this.#entries.size;
  }
}
