/**
 * From where a stream reads the log again, and what it has had of that already. Times are those of
 * Postgres.
 */

/** How late a commit may appear in the log and be seen at the next look. */
export const QUICK_MS = 2_000;
/** How late it may appear and be seen at the next thorough look. */
export const LATE_MS = 10_000;

type Logged = { readonly eventNo: number; readonly createdAt: Date };

/** Nothing written until `since` (ms), and nothing up to event `afterNo`, is read again. */
type Bound = { readonly since: number; readonly afterNo: number };

/** A position to give to `eventsSince`. */
export type Position = {
  readonly since: Date;
  readonly afterNo: number;
  readonly except: readonly number[];
};

export class Seen {
  readonly #events = new Map<number, number>();
  #quick: Bound;
  #thorough: Bound;

  /** `since` lies LATE_MS back, `afterNo` is the last event until then, `recent` are those after it. */
  constructor(start: { since: Date; afterNo: number; recent: readonly Logged[] }) {
    this.#quick = { since: start.since.getTime(), afterNo: start.afterNo };
    this.#thorough = this.#quick;
    for (const event of start.recent) this.add(event);
  }

  get size(): number {
    return this.#events.size;
  }

  /** Where to read from: QUICK_MS before the last look, or LATE_MS before the last thorough one. */
  position(isThorough: boolean): Position {
    const { since, afterNo } = isThorough ? this.#thorough : this.#quick;
    const except = [...this.#events]
      .filter(([eventNo, at]) => eventNo > afterNo && at > since)
      .map(([eventNo]) => eventNo);
    return { since: new Date(since), afterNo, except };
  }

  /** It is not to come again. */
  add({ eventNo, createdAt }: Logged): void {
    const at = createdAt.getTime();
    if (at > this.#thorough.since) this.#events.set(eventNo, at);
  }

  /** Everything committed until about `at` was read: moves on, and forgets what is not read again. */
  readUntil(at: Date, isThorough: boolean): void {
    this.#quick = this.#moved(this.#quick, at.getTime() - QUICK_MS);
    if (!isThorough) return;
    this.#thorough = this.#moved(this.#thorough, at.getTime() - LATE_MS);
    for (const [eventNo, createdAt] of this.#events) {
      if (createdAt <= this.#thorough.since) this.#events.delete(eventNo);
    }
  }

  #moved(bound: Bound, since: number): Bound {
    if (since <= bound.since) return bound;
    let { afterNo } = bound;
    for (const [eventNo, at] of this.#events) {
      if (at <= since && eventNo > afterNo) afterNo = eventNo;
    }
    return { since, afterNo };
  }
}
