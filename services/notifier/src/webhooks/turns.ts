/** A queue with a backlog gives way, so that whoever has little is served nearly as if the backlog were not there. */

/** So many at a stretch, in claims that got all they asked for: a backlog. */
const LONG = 100;
/** While it gives way a queue takes one at a time, after a pause each. It never stops. */
const PAUSE_MS = 3;
/** So long after a delivery its queue still counts: its next shall find the way free. */
const OTHERS_MS = 1_000;

type Served = { who: string; at: number };

export class Turns {
  readonly #now: () => number;
  /** Who was served without a backlog: the last one, and the last before it that was another. */
  #last: Served = { who: "", at: -Infinity };
  #before: Served = { who: "", at: -Infinity };

  /** `now`: ms of a clock that only goes ahead. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** ms that a queue with so many at a stretch waits before it takes one; 0: it may take all it has room for. */
  pauseMs(who: string, stretch: number): number {
    if (stretch < LONG) return 0;
    const other = this.#last.who === who ? this.#before : this.#last;
    return this.#now() - other.at < OTHERS_MS ? PAUSE_MS : 0;
  }

  /** A claim asked for so many and got so many. How many it is at a stretch now. */
  served(who: string, stretch: number, asked: number, got: number): number {
    const now = got < asked ? 0 : stretch + got;
    if (got > 0 && now < LONG) {
      if (this.#last.who !== who) this.#before = this.#last;
      this.#last = { who, at: this.#now() };
    }
    return now;
  }
}
