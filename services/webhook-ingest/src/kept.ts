/** What is known of companies: read when it is needed, kept for a while, and all that counts while Postgres is away. */
import { isUnavailable } from "@manyline/db";
import type { Clock } from "@manyline/runtime";

export type KeptOptions<Value> = {
  clock: Clock;
  read: (companyId: string) => Promise<Value | undefined>;
  /** So long it is believed to be as it was read. */
  freshMs: number;
  /** What did not fit may be for something new: so often at most that is looked up. */
  reloadMs: number;
};

type Known<Value> = { value: Value | undefined; readAt: number };

const MOST = 10_000;

export class Kept<Value> {
  readonly #options: KeptOptions<Value>;
  /** The oldest first. */
  readonly #known = new Map<string, Known<Value>>();
  readonly #reading = new Map<string, Promise<Known<Value>>>();

  constructor(options: KeptOptions<Value>) {
    this.#options = options;
  }

  /** Undefined: there is none. While Postgres is away what was known goes on counting; rejects when nothing is. */
  async find(companyId: string): Promise<Value | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < this.#options.freshMs) return known.value;
    try {
      return (await this.#read(companyId)).value;
    } catch (error) {
      if (known && isUnavailable(error)) return known.value;
      throw error;
    }
  }

  /** Like `find`, for what did not fit; undefined: nothing newer is to be had. Rejects while Postgres is away. */
  async reload(companyId: string): Promise<Value | undefined> {
    const known = this.#known.get(companyId);
    if (known && this.#age(known) < this.#options.reloadMs) return undefined;
    return (await this.#read(companyId)).value;
  }

  #age({ readAt }: Known<Value>): number {
    return this.#options.clock.monotonic() - readAt;
  }

  /** Those who ask at the same time share one answer. */
  #read(companyId: string): Promise<Known<Value>> {
    const running = this.#reading.get(companyId);
    if (running) return running;
    const reading = this.#readNow(companyId).finally(() => this.#reading.delete(companyId));
    this.#reading.set(companyId, reading);
    return reading;
  }

  async #readNow(companyId: string): Promise<Known<Value>> {
    const value = await this.#options.read(companyId);
    const known = { value, readAt: this.#options.clock.monotonic() };
    this.#known.delete(companyId);
    this.#known.set(companyId, known);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MOST && oldest !== undefined) this.#known.delete(oldest);
    return known;
  }
}
