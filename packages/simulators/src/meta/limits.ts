/** How fast a number may send, and how often to the same person. */

const PAIR_BURST = 45;
const PAIR_EVERY_MS = 6_000;

type Bucket = { level: number; at: number };

export class SendLimits {
  readonly #now: () => number;
  readonly #speed: number;
  readonly #numbers = new Map<string, Bucket>();
  readonly #pairs = new Map<string, Bucket>();

  /** `speed`: how many times faster than life the pause between two messages to one person passes. */
  constructor(now: () => number, speed: number) {
    this.#now = now;
    this.#speed = speed;
  }

  /** Whether the number may send one more now; it has, if so. */
  takeNumber(phoneNumberId: string, perSecond: number): boolean {
    return this.#take(this.#numbers, phoneNumberId, perSecond, 1_000 / perSecond);
  }

  takePair(phoneNumberId: string, phone: string): boolean {
    const everyMs = PAIR_EVERY_MS / this.#speed;
    return this.#take(this.#pairs, `${phoneNumberId}/${phone}`, PAIR_BURST, everyMs);
  }

  #take(buckets: Map<string, Bucket>, key: string, most: number, everyMs: number): boolean {
    const now = this.#now();
    const bucket = buckets.get(key) ?? { level: most, at: now };
    bucket.level = Math.min(most, bucket.level + (now - bucket.at) / everyMs);
    bucket.at = now;
    buckets.set(key, bucket);
    if (bucket.level < 1) return false;
    bucket.level -= 1;
    return true;
  }
}
