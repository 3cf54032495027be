import { createHash } from "node:crypto";
import { ManylineError } from "@manyline/contracts";
import type { Clock } from "@manyline/runtime";

/** Counts in windows of one minute. Both implementations keep nothing that matters. */
export type Counter = {
  /** Adds one and returns how many there are in this window. */
  add(key: string): Promise<number>;
  /** How many there are in this window. */
  peek(key: string): Promise<number>;
};

export const WINDOW_MS = 60_000;
const MAX_LOCAL_KEYS = 50_000;
const MAX_KNOWN_TOKENS = 10_000;

/** In this process's memory: exact for one process, and what is left while Redis is away. */
export class LocalCounter implements Counter {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  #window = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(key: string): Promise<number> {
    this.#turn();
    const count = (this.#counts.get(key) ?? 0) + 1;
    // A flood of addresses must not fill the memory; the map is emptied with each window anyway.
    if (count > 1 || this.#counts.size < MAX_LOCAL_KEYS) this.#counts.set(key, count);
    return Promise.resolve(count);
  }

  peek(key: string): Promise<number> {
    this.#turn();
    return Promise.resolve(this.#counts.get(key) ?? 0);
  }

  #turn(): void {
    const window = Math.floor(this.#clock.monotonic() / WINDOW_MS);
    if (window === this.#window) return;
    this.#window = window;
    this.#counts.clear();
  }
}

/** The commands of Redis that are used. */
export type RedisCommands = {
  readonly status: string;
  get(key: string): Promise<string | null>;
  incr(key: string): Promise<number>;
  pexpire(key: string, ms: number): Promise<number>;
};

/** Shared by all processes through Redis; whenever Redis does not answer, the local count is taken. */
export class SharedCounter implements Counter {
  readonly #redis: RedisCommands;
  readonly #local: LocalCounter;
  readonly #clock: Clock;

  constructor(redis: RedisCommands, clock: Clock) {
    this.#redis = redis;
    this.#local = new LocalCounter(clock);
    this.#clock = clock;
  }

  async add(key: string): Promise<number> {
    const local = await this.#local.add(key);
    return this.#ask(local, async () => {
      const name = this.#name(key);
      const count = await this.#redis.incr(name);
      if (count === 1) await this.#redis.pexpire(name, 2 * WINDOW_MS);
      return count;
    });
  }

  async peek(key: string): Promise<number> {
    const local = await this.#local.peek(key);
    return this.#ask(local, async () => Number((await this.#redis.get(this.#name(key))) ?? 0));
  }

  async #ask(local: number, question: () => Promise<number>): Promise<number> {
    if (this.#redis.status !== "ready") return local;
    try {
      return Math.max(local, await question());
    } catch {
      return local;
    }
  }

  /** The window is part of the name, so a key whose expiry was lost blocks nobody for ever. */
  #name(key: string): string {
    return `whatsapp:requests:${Math.floor(this.#clock.now().getTime() / WINDOW_MS)}:${key}`;
  }
}

export type RequestLimits = {
  readonly perTokenPerMinute: number;
  readonly perAddressPerMinute: number;
  readonly failedLoginsPerMinute: number;
};

/** Who may go on asking. Every refusal is TOO_MANY_REQUESTS with Retry-After. */
export class RequestLimiter {
  readonly #counter: Counter;
  readonly #limits: RequestLimits;
  readonly #clock: Clock;
  /** Hashes of tokens that were good lately: guesses from a shared address must not lock them out. */
  readonly #known = new Set<string>();

  constructor(counter: Counter, limits: RequestLimits, clock: Clock) {
    this.#counter = counter;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** Before a token is looked up: has this address sent too many that were refused? */
  async beforeLogin(address: string, secret: string): Promise<void> {
    if (this.#known.has(fingerprint(secret))) return;
    if ((await this.#counter.peek(`failed:${address}`)) >= this.#limits.failedLoginsPerMinute) {
      this.#refuse();
    }
  }

  async loginFailed(address: string, secret: string): Promise<void> {
    this.#known.delete(fingerprint(secret));
    await this.#counter.add(`failed:${address}`);
  }

  loginWorked(secret: string): void {
    if (this.#known.size >= MAX_KNOWN_TOKENS) this.#known.clear();
    this.#known.add(fingerprint(secret));
  }

  /** Counts a request; without a token (public routes) only its address. */
  async request(address: string, tokenId?: string): Promise<void> {
    const [byAddress, byToken] = await Promise.all([
      this.#counter.add(`address:${address}`),
      tokenId === undefined ? 0 : this.#counter.add(`token:${tokenId}`),
    ]);
    const isOver =
      byAddress > this.#limits.perAddressPerMinute || byToken > this.#limits.perTokenPerMinute;
    if (isOver) this.#refuse();
  }

  #refuse(): never {
    const leftMs = WINDOW_MS - (this.#clock.now().getTime() % WINDOW_MS);
    throw new ManylineError("TOO_MANY_REQUESTS", {
      retryAfterSeconds: Math.max(1, Math.ceil(leftMs / 1_000)),
    });
  }
}

function fingerprint(secret: string): string {
  return createHash("sha256").update(secret).digest("base64");
}
