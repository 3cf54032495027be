/**
 * Does for many what many ask for at the same moment. One run goes at a time, or as many as there are lanes; what
 * comes meanwhile waits for the next, so a lone call is not delayed and a thousand share a few dozen runs.
 */
export class Grouped<Item, Result> {
  readonly #run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>;
  readonly #most: number;
  readonly #waiting: ({ item: Item } & PromiseWithResolvers<Result>)[] = [];
  readonly #lanes: number;
  #running = 0;

  /** `run` answers in the order of the items, at most `most` of them; an Error rejects that item's call alone. */
  constructor(
    run: (items: readonly Item[]) => Promise<readonly (Result | Error)[]>,
    most: number,
    lanes = 1,
  ) {
    this.#run = run;
    this.#most = most;
    this.#lanes = lanes;
  }

  add(item: Item): Promise<Result> {
    const waiting = { item, ...Promise.withResolvers<Result>() };
    this.#waiting.push(waiting);
    if (this.#running < this.#lanes) void this.#work();
    return waiting.promise;
  }

  async #work(): Promise<void> {
    this.#running += 1;
    // What is asked for in the same turn belongs together.
    await Promise.resolve();
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0, this.#most);
      try {
        const results = await this.#run(group.map(({ item }) => item));
        for (const [index, one] of group.entries()) {
          const result = results[index];
          if (result instanceof Error) one.reject(result);
          else one.resolve(result as Result);
        }
      } catch (error) {
        for (const one of group) one.reject(error);
      }
    }
    this.#running -= 1;
  }
}
