/** How fast a number sends. A person writes now and then; whatever looks like a machine gets restricted. */

export type PaceFigures = {
  /** Messages a second, in the long run. */
  perSecond: number;
  /** Messages that may go at once after a rest. */
  burst: number;
  /** Messages of one number that are under way at the same time, each in another chat. */
  underWay: number;
  /** People who never wrote to the number and are written to for the first time, within 24 hours. */
  firstContactsPerDay: number;
};

/** What a person at a phone could do; a number that is known for answering may do more. */
export const PACE: PaceFigures = { perSecond: 2, burst: 10, underWay: 6, firstContactsPerDay: 200 };

/** What Meta says of how fast a number may be. */
export type MetaThroughput = {
  /** Its level, in Meta's word. */
  throughput?: string;
  /** It lives in the WhatsApp Business app as well. */
  isOnApp?: boolean;
};

/** Messages a second. A number that a phone has as well keeps up with the phone, whatever its level. */
const META_PER_SECOND = { onApp: 20, HIGH: 1_000, otherwise: 80 } as const;
/** Meta takes so long to answer, s. */
const META_ANSWER_S = 0.4;
/** Of a slow number, too: the answer to a file takes longer. */
const META_LEAST_UNDER_WAY = 16;

/** What Meta allows a number of the Cloud API; it says so when that is too much. */
export function metaPace({ throughput, isOnApp = false }: MetaThroughput = {}): PaceFigures {
  const { onApp, HIGH, otherwise } = META_PER_SECOND;
  const perSecond = isOnApp ? onApp : throughput === "HIGH" ? HIGH : otherwise;
  return {
    perSecond,
    burst: perSecond,
    underWay: Math.max(META_LEAST_UNDER_WAY, perSecond * META_ANSWER_S),
    firstContactsPerDay: Infinity,
  };
}

/** How often and how long one message is tried; each try carries the same id. */
export const TRIES = {
  /** Waits before a second, third … try over a connection that is open, ms. */
  pausesMs: [1_000, 5_000, 15_000],
  /** Tries of all owners together, after which nobody knows what became of it. */
  most: 12,
} as const;

/** A bucket that fills with time; each message takes one out. Times are monotonic milliseconds. */
export class TokenBucket {
  #perMs: number;
  #burst: number;
  #tokens: number;
  #at: number;

  constructor({ perSecond, burst }: Pick<PaceFigures, "perSecond" | "burst">, now: number) {
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = burst;
    this.#at = now;
  }

  /** From `now` on it fills otherwise; what is in it stays, up to the new burst. */
  change({ perSecond, burst }: Pick<PaceFigures, "perSecond" | "burst">, now: number): void {
    this.#fill(now);
    this.#perMs = perSecond / 1_000;
    this.#burst = burst;
    this.#tokens = Math.min(this.#tokens, burst);
  }

  /** How many messages may go now. */
  available(now: number): number {
    this.#fill(now);
    return Math.max(0, Math.floor(this.#tokens));
  }

  take(count: number, now: number): void {
    this.#fill(now);
    this.#tokens -= count;
  }

  /** How long until one more may go, ms; 0: now. */
  nextInMs(now: number): number {
    this.#fill(now);
    return this.#tokens >= 1 ? 0 : Math.ceil((1 - this.#tokens) / this.#perMs);
  }

  #fill(now: number): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + (now - this.#at) * this.#perMs);
    this.#at = now;
  }
}
