/**
 * What a stream has sent already, and from where it reads again. Times are those of Postgres.
 */
export class Seen {
  readonly #overlapMs: number;
  readonly #ids = new Map<string, number>();
  #since: Date;

  /** `overlapMs`: how late a commit may be and still be seen. */
  constructor(start: Date, overlapMs: number) {
    this.#overlapMs = overlapMs;
    this.#since = new Date(start.getTime() - overlapMs);
  }

  /** Read from here. */
  get since(): Date {
    return this.#since;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(event: { readonly eventId: string }): boolean {
    return this.#ids.has(event.eventId);
  }

  /** True the first time an event is met. */
  isNew(event: { readonly eventId: string; readonly createdAt: Date }): boolean {
    if (this.#ids.has(event.eventId)) return false;
    this.#ids.set(event.eventId, event.createdAt.getTime());
    return true;
  }

  /** Everything committed until about `now` was read: moves the start on and forgets what lies before it. */
  readUntil(now: Date): void {
    const since = now.getTime() - this.#overlapMs;
    if (since <= this.#since.getTime()) return;
    this.#since = new Date(since);
    for (const [id, at] of this.#ids) if (at <= since) this.#ids.delete(id);
  }
}
