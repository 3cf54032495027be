/** Time, chance and networks of a simulated world. Nothing here waits for anything real. */

type Event = {
  at: number;
  serial: number;
  task: () => void;
  isQuick: boolean;
  isCancelled: boolean;
};

export class Simulation {
  /** Milliseconds; Postgres' clock. */
  now = 0;
  #serial = 0;
  #state: number;
  /** A heap: the next one first. */
  readonly #events: Event[] = [];

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** From 0 to 1, the same sequence for the same seed (mulberry32). */
  random(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }

  between(low: number, high: number): number {
    return low + this.random() * (high - low);
  }

  /** `isQuick`: no promise hangs on it. The answer cancels it. */
  after(ms: number, task: () => void, isQuick = false): () => void {
    this.#serial += 1;
    const at = this.now + Math.max(0, ms);
    const event: Event = { at, serial: this.#serial, task, isQuick, isCancelled: false };
    this.#push(event);
    return () => {
      event.isCancelled = true;
    };
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(ms, resolve);
    });
  }

  /** Lets time pass; after each event everything that hangs on it has run. */
  async runUntil(end: number): Promise<void> {
    await settle();
    for (;;) {
      const next = this.#events[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      if (next.isCancelled) continue;
      this.now = next.at;
      next.task();
      if (!next.isQuick) await settle();
    }
    this.now = end;
  }

  #push(event: Event): void {
    const heap = this.#events;
    let index = heap.push(event) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[index] = above;
      index = parent;
    }
    heap[index] = event;
  }

  #pop(): void {
    const heap = this.#events;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      const left = heap[child];
      if (left === undefined) break;
      const right = heap[child + 1];
      let smaller = left;
      if (right !== undefined && isBefore(right, left)) {
        child += 1;
        smaller = right;
      }
      if (isBefore(last, smaller)) break;
      heap[index] = smaller;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.serial < b.serial);
}

/** Every promise that can go on has gone on: nothing in this world waits for timers or sockets. */
function settle(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

export type LinkState = "fine" | "slow" | "broken";
/** So long after it was sent a statement may still run, though nobody waits for it any more. */
export const LATEST_MS = 20_000;

/** How one process reaches Postgres, and whether it is there to hear the answer. */
export class Link {
  state: LinkState = "fine";
  readonly #simulation: Simulation;
  #isFrozen = false;
  #isDead = false;
  #held: (() => void)[] = [];

  constructor(simulation: Simulation) {
    this.#simulation = simulation;
  }

  get isDead(): boolean {
    return this.#isDead;
  }
  /** It takes no step: SIGSTOP, or a machine that stands still. */
  get isFrozen(): boolean {
    return this.#isFrozen;
  }

  /** What becomes of a statement: when it runs (undefined: never), and how long its answer takes (undefined: lost). */
  fate(): { runsAfterMs: number | undefined; answersAfterMs: number | undefined } {
    const simulation = this.#simulation;
    switch (this.state) {
      case "fine":
        return {
          runsAfterMs: simulation.between(0.2, 5),
          answersAfterMs: simulation.between(0.2, 5),
        };
      case "slow":
        return {
          runsAfterMs: simulation.between(1, 1_500),
          answersAfterMs: simulation.between(1, 1_500),
        };
      case "broken": {
        const chance = simulation.random();
        if (chance < 0.3) return { runsAfterMs: undefined, answersAfterMs: undefined };
        const runsAfterMs =
          chance < 0.7 ? simulation.between(1, LATEST_MS) : simulation.between(1, 50);
        return { runsAfterMs, answersAfterMs: undefined };
      }
    }
  }

  /** Something happens inside the process: now, when it goes on, or never. */
  deliver(task: () => void): void {
    if (this.#isDead) return;
    if (this.#isFrozen) this.#held.push(task);
    else task();
  }

  freeze(): void {
    this.#isFrozen = true;
  }
  thaw(): void {
    if (!this.#isFrozen) return;
    this.#isFrozen = false;
    for (const task of this.#held.splice(0)) this.#simulation.after(0, () => this.deliver(task));
  }
  die(): void {
    this.#isDead = true;
    this.#held = [];
  }
}
