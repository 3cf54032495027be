export class BusyError extends Error {
  override name = "BusyError";
}

export type MicroBatcherOptions<Item> = {
  lanes: number;
  /** Items of one commit at most. */
  size: number;
  /** Weight that waits at most, over all lanes; then `add` rejects with BusyError. */
  capacity: number;
  /** Commits all or nothing. */
  commit: (items: readonly Item[]) => Promise<void>;
  /** Whether a failed commit may succeed with fewer items: then each is tried alone. */
  isWorthSplitting: (error: unknown) => boolean;
};

type Waiting<Item> = {
  item: Item;
  weight: number;
  resolve: () => void;
  reject: (error: unknown) => void;
};

type Lane<Item> = { waiting: Waiting<Item>[]; running: Promise<void> | undefined };

/**
 * Puts together what comes while a commit is under way: under little load an item is committed at once and
 * alone, under much load many share one commit. Items with the same key go one after the other.
 */
export class MicroBatcher<Item> {
  readonly #options: MicroBatcherOptions<Item>;
  readonly #lanes: Lane<Item>[];
  #weight = 0;

  constructor(options: MicroBatcherOptions<Item>) {
    this.#options = options;
    this.#lanes = Array.from({ length: options.lanes }, () => ({
      waiting: [],
      running: undefined,
    }));
  }

  /** What waits or is being committed. */
  get weight(): number {
    return this.#weight;
  }

  /** Resolves when the item is committed; rejects when it is not. */
  async add(key: string, item: Item, weight: number): Promise<void> {
    if (this.#weight + weight > this.#options.capacity && this.#weight > 0) {
      throw new BusyError("too much waits to be committed");
    }
    const lane = this.#lanes[hash(key) % this.#lanes.length];
    if (!lane) throw new Error("there is no lane");
    const done = Promise.withResolvers<void>();
    this.#weight += weight;
    lane.waiting.push({ item, weight, resolve: done.resolve, reject: done.reject });
    lane.running ??= this.#run(lane);
    try {
      await done.promise;
    } finally {
      this.#weight -= weight;
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    for (const lane of this.#lanes) await lane.running;
  }

  async #run(lane: Lane<Item>): Promise<void> {
    // What came in the same turn of the event loop goes along.
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    while (lane.waiting.length > 0) await this.#commit(lane.waiting.splice(0, this.#options.size));
    lane.running = undefined;
  }

  async #commit(batch: readonly Waiting<Item>[]): Promise<void> {
    const { commit, isWorthSplitting } = this.#options;
    try {
      await commit(batch.map(({ item }) => item));
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (batch.length === 1 || !isWorthSplitting(error)) {
        for (const { reject } of batch) reject(error);
        return;
      }
      for (const one of batch) await this.#commit([one]);
    }
  }
}

function hash(key: string): number {
  let sum = 0;
  for (let at = 0; at < key.length; at += 1) sum = (Math.imul(sum, 31) + key.charCodeAt(at)) >>> 0;
  return sum;
}
