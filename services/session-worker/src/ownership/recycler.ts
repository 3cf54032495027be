/**
 * Gives numbers a fresh connection when theirs is old or seems deaf: a few at a time, only when nothing is under way
 * over it, and never while others are being opened. What comes meanwhile waits at WhatsApp.
 */
import type { WorkerContext } from "../numbers/context.ts";
import type { NumberActor } from "../numbers/number-actor.ts";

const MOST_AT_ONCE = 5;
/** Then another number has its turn, whatever became of this one. */
const PLACE_MS = 60_000;

type Turn = { since: number; isBegun: boolean };

export class Recycler {
  readonly #context: WorkerContext;
  readonly #turns = new Map<NumberActor, Turn>();

  constructor(context: WorkerContext) {
    this.#context = context;
  }

  /** To be called every few seconds, with the numbers that may be touched. */
  look(actors: Iterable<NumberActor>): void {
    const { clock, opener } = this.#context;
    const now = clock.monotonic();
    for (const [actor, { since, isBegun }] of this.#turns) {
      if ((isBegun && actor.isOpen) || now - since >= PLACE_MS) this.#turns.delete(actor);
    }
    // Our own wait among them; a herd of others comes first.
    if (opener.inFlight + opener.waiting > this.#turns.size) return;
    for (const actor of actors) {
      if (this.#turns.size >= MOST_AT_ONCE) return;
      if (this.#turns.has(actor) || !actor.recycleDue) continue;
      const turn: Turn = { since: now, isBegun: false };
      this.#turns.set(actor, turn);
      void actor.recycle().finally(() => {
        turn.isBegun = true;
      });
    }
  }
}
