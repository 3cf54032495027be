/**
 * So many at a time; who waits is served in turn. Nobody holds more than is free for others: endpoints of one company that
 * take their time, however many, leave as much to all others as they have.
 */
export class Slots {
  readonly #most: number;
  #taken = 0;
  readonly #held = new Map<number, number>();
  readonly #waiting: { who: number; wanted: number; serve: (count: number) => void }[] = [];

  constructor(most: number) {
    this.#most = most;
  }

  get taken(): number {
    return this.#taken;
  }

  /** At least one, at most `wanted`; waits until there is one. */
  take(who: number, wanted: number): Promise<number> {
    return new Promise((resolve) => {
      this.#waiting.push({ who, wanted, serve: resolve });
      this.#serve();
    });
  }

  give(who: number, count: number): void {
    this.#hold(who, -count);
    this.#serve();
  }

  #hold(who: number, count: number): void {
    this.#taken += count;
    const held = (this.#held.get(who) ?? 0) + count;
    if (held === 0) this.#held.delete(who);
    else this.#held.set(who, held);
  }

  #serve(): void {
    let place = 0;
    while (this.#taken < this.#most) {
      const next = this.#waiting[place];
      if (!next) return;
      const { who, wanted, serve } = next;
      const room = Math.ceil((this.#most - this.#taken - (this.#held.get(who) ?? 0)) / 2);
      if (room <= 0) {
        place += 1;
        continue;
      }
      this.#waiting.splice(place, 1);
      const count = Math.min(wanted, room);
      this.#hold(who, count);
      serve(count);
    }
  }
}
