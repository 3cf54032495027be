/** So many at a time; who waits is served in turn. */
export class Slots {
  readonly #most: number;
  #taken = 0;
  readonly #waiting: { wanted: number; serve: (count: number) => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get taken(): number {
    return this.#taken;
  }

  /** At least one, at most `wanted`; waits until there is one. */
  take(wanted: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push({ wanted, serve: resolve });
      this.#serve();
    });
  }

  give(count: number): void {
    this.#taken -= count;
    this.#serve();
  }

  #serve(): void {
    while (this.#taken < this.#most) {
      const next = this.#waiting.shift();
      if (!next) return;
      const count = Math.min(next.wanted, this.#most - this.#taken);
      this.#taken += count;
      next.serve(count);
    }
  }
}
