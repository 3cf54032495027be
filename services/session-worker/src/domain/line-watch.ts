/**
 * When a connection should make room for a fresh one. What the library keeps per connection grows with the people
 * who write; and a connection may turn deaf: open, its pings answered, but nothing comes any more. Pure.
 */

export type RecycleFigures = {
  /** How long a connection is used; each gets between two and four thirds of it. */
  lifeMs: number;
  /** At least so long nothing must have come before a connection is taken for deaf. */
  silenceMs: number;
};

export type RecycleReason = "age" | "silence";

/** Silence is this many times longer than what is usual between two things that come. */
const USUAL_GAPS = 20;
/** Before so many have come nobody knows what is usual. */
const LEAST_HEARD = 10;
/** The newest gap's share in what is usual. */
const NEWEST = 0.1;
/** Nothing has come for so long: a quiet moment. */
const REST_MS = 60_000;

/** Of one number, over all its connections. Times are of the monotonic clock. */
export class LineWatch {
  readonly #figures: RecycleFigures;
  readonly #random: () => number;
  #openedAt: number | undefined;
  #lifeMs = 0;
  #heardAt: number | undefined;
  #heardCount = 0;
  #usualGapMs = 0;
  /** Doubles with every fresh connection that stays silent as well: then it is rather the people. */
  #patience = 1;

  constructor(figures: RecycleFigures, random: () => number = Math.random) {
    this.#figures = figures;
    this.#random = random;
  }

  opened(at: number): void {
    this.#openedAt = at;
    this.#lifeMs = this.#figures.lifeMs * (2 / 3) * (1 + this.#random());
  }

  closed(): void {
    this.#openedAt = undefined;
  }

  /** A message or a receipt came. */
  heard(at: number): void {
    if (this.#heardAt !== undefined) {
      const gapMs = at - this.#heardAt;
      const share = this.#heardCount === 1 ? 1 : NEWEST;
      this.#usualGapMs += share * (gapMs - this.#usualGapMs);
    }
    this.#heardAt = at;
    this.#heardCount += 1;
    this.#patience = 1;
  }

  /** It is being recycled for this. */
  noteRecycled(reason: RecycleReason): void {
    if (reason === "silence") this.#patience *= 2;
  }

  /** Why there should be a fresh one now; undefined: it is fine, or this is no quiet moment. */
  due(now: number): RecycleReason | undefined {
    const openedAt = this.#openedAt;
    if (openedAt === undefined) return undefined;
    const ageMs = now - openedAt;
    const silentMs = now - Math.max(openedAt, this.#heardAt ?? openedAt);
    const restMs = Math.min(REST_MS, this.#figures.lifeMs / 10);
    // One that never rests gets its turn all the same: nothing is lost, it comes a moment later.
    const isQuiet = silentMs >= restMs || ageMs >= 2 * this.#lifeMs;
    if (ageMs >= this.#lifeMs && isQuiet) return "age";
    if (this.#heardCount < LEAST_HEARD) return undefined;
    const enoughMs = Math.max(this.#figures.silenceMs, USUAL_GAPS * this.#usualGapMs);
    return silentMs >= enoughMs * this.#patience ? "silence" : undefined;
  }
}
