import { setTimeout as delay } from "node:timers/promises";

export class BusyError extends Error {
  override name = "BusyError";
}

export type MicroBatcherOptions<Item> = {
  /** Commits under way at most. */
  lanes: number;
  /** Items of one commit at most. */
  size: number;
  /** Weight that waits at most, over all lanes; then `add` rejects with BusyError. */
  capacity: number;
  /** Commits all or nothing. */
  commit: (items: readonly Item[]) => Promise<void>;
  /** Whether a failed commit may succeed with fewer items: then each is tried alone. */
  isWorthSplitting: (error: unknown) => boolean;
  /** How long to leave the processor to others after a commit that took so long, ms; while above 0 there is one lane. */
  restMs?: (commitMs: number) => number;
};

type Waiting<Item> = {
  item: Item;
  weight: number;
  resolve: () => void;
  reject: (error: unknown) => void;
};

/**
 * So long whatever came while a commit is under way waits for its end: two halves cost a third more than the whole. One
 * that takes longer may be held up by something that holds up no others.
 */
const PATIENCE_MS = 200;
/** Commits beside each other while more than enough waits; more of them take turns at the same processors. */
const BESIDE = 2;

/**
 * Puts together what comes while a commit is under way: under little load an item is committed at once and alone,
 * under much load many share one commit, since a commit costs more than the items in it. Items with the same key go
 * one after the other and hold up no others.
 */
export class MicroBatcher<Item> {
  readonly #options: MicroBatcherOptions<Item>;
  /** What can be committed now, by key; whoever has waited longest comes first. None is empty. */
  readonly #ready = new Map<string, Waiting<Item>[]>();
  /** Of the keys whose items are being committed: what has come since. */
  readonly #held = new Map<string, Waiting<Item>[]>();
  readonly #running = new Set<Promise<void>>();
  #count = 0;
  #readyCount = 0;
  #weight = 0;
  #isDue = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(options: MicroBatcherOptions<Item>) {
    this.#options = options;
  }

  /** What waits or is being committed. */
  get weight(): number {
    return this.#weight;
  }

  /** How many items wait or are being committed. */
  get count(): number {
    return this.#count;
  }

  /** Resolves when the item is committed; rejects when it is not. */
  async add(key: string, item: Item, weight: number): Promise<void> {
    if (this.#weight + weight > this.#options.capacity && this.#weight > 0) {
      throw new BusyError("too much waits to be committed");
    }
    const done = Promise.withResolvers<void>();
    this.#weight += weight;
    this.#count += 1;
    const one = { item, weight, resolve: done.resolve, reject: done.reject };
    const held = this.#held.get(key);
    if (held) held.push(one);
    else {
      this.#queue(key, [one]);
      this.#look();
    }
    try {
      await done.promise;
    } finally {
      this.#weight -= weight;
      this.#count -= 1;
    }
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#running.size > 0 || this.#readyCount > 0) {
      // What has just come begins in the next turn, or when it has waited long enough.
      if (this.#running.size > 0) await Promise.race(this.#running);
      await nextTurn();
    }
  }

  #queue(key: string, items: Waiting<Item>[]): void {
    const waiting = this.#ready.get(key);
    if (waiting) waiting.push(...items);
    else this.#ready.set(key, items);
    this.#readyCount += items.length;
  }

  /** Starts a commit, once everything that came in this turn of the event loop is there. */
  #look(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    setImmediate(() => {
      this.#isDue = false;
      while (this.#isWorthStarting() && this.#start());
      if (this.#readyCount === 0) return;
      this.#patience ??= setTimeout(() => {
        this.#patience = undefined;
        if (this.#readyCount > 0 && this.#start()) this.#look();
      }, PATIENCE_MS);
    });
  }

  /** One beside the other only if both are full: the one is prepared while Postgres has the other. */
  #isWorthStarting(): boolean {
    if (this.#running.size === 0) return this.#readyCount > 0;
    const { size, restMs } = this.#options;
    return this.#running.size < BESIDE && this.#readyCount >= 2 * size && !restMs?.(1);
  }

  /** False: as many are under way as may be. */
  #start(): boolean {
    if (this.#running.size >= this.#options.lanes) return false;
    clearTimeout(this.#patience);
    this.#patience = undefined;
    const batch: Waiting<Item>[] = [];
    const keys: string[] = [];
    for (const [key, waiting] of this.#ready) {
      const room = this.#options.size - batch.length;
      if (room === 0) break;
      batch.push(...waiting.splice(0, room));
      keys.push(key);
      this.#ready.delete(key);
      this.#held.set(key, waiting);
    }
    this.#readyCount = 0;
    for (const waiting of this.#ready.values()) this.#readyCount += waiting.length;
    const run = this.#commitAndRest(batch).finally(() => {
      this.#running.delete(run);
      for (const key of keys) {
        const waiting = this.#held.get(key) ?? [];
        this.#held.delete(key);
        if (waiting.length > 0) this.#queue(key, waiting);
      }
      this.#look();
    });
    this.#running.add(run);
    return true;
  }

  async #commitAndRest(batch: readonly Waiting<Item>[]): Promise<void> {
    const startedAt = performance.now();
    await this.#commit(batch);
    const restMs = this.#options.restMs?.(performance.now() - startedAt) ?? 0;
    if (restMs > 0) await delay(restMs);
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

const nextTurn = (): Promise<void> =>
  new Promise((resolve) => {
    setImmediate(resolve);
  });
