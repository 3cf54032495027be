import { EVENTS, ManylineError } from "@manyline/contracts";
import type { CompanyId } from "@manyline/contracts";
import type { Bus, BusSubscription } from "@manyline/runtime";

type Wake = () => void;
type Watched = { readonly wakes: Set<Wake>; readonly subscriptions: readonly BusSubscription[] };

const FAMILIES = [...new Set(EVENTS.map(({ type }) => type.slice(0, type.indexOf("."))))];

/** An open stream's place in the hub. */
export type StreamPlace = { readonly signal: AbortSignal; leave(): void };

/**
 * All open streams of this process. The bus only wakes them; what they send they read from the event log,
 * so a lost message is a delay and nothing else.
 */
export class StreamHub {
  readonly #bus: Bus;
  readonly #perToken: number;
  readonly #companies = new Map<CompanyId, Watched>();
  readonly #perTokenCount = new Map<string, number>();
  readonly #stopping = new AbortController();

  constructor(options: { bus: Bus; perToken: number }) {
    this.#bus = options.bus;
    this.#perToken = options.perToken;
  }

  get count(): number {
    let count = 0;
    for (const { wakes } of this.#companies.values()) count += wakes.size;
    return count;
  }

  /** Calls `wake` when something may have happened in the company. Throws TOO_MANY_REQUESTS. */
  join(companyId: CompanyId, tokenId: string, wake: Wake): StreamPlace {
    const open = this.#perTokenCount.get(tokenId) ?? 0;
    if (open >= this.#perToken) {
      throw new ManylineError("TOO_MANY_REQUESTS", {
        detail: `At most ${this.#perToken} event streams with one token.`,
        retryAfterSeconds: 10,
      });
    }
    this.#perTokenCount.set(tokenId, open + 1);
    const watched = this.#companies.get(companyId) ?? this.#watch(companyId);
    watched.wakes.add(wake);
    const unsubscribe = this.#bus.onStatus(wake);
    let hasLeft = false;
    return {
      signal: this.#stopping.signal,
      leave: () => {
        if (hasLeft) return;
        hasLeft = true;
        unsubscribe();
        const left = (this.#perTokenCount.get(tokenId) ?? 1) - 1;
        if (left <= 0) this.#perTokenCount.delete(tokenId);
        else this.#perTokenCount.set(tokenId, left);
        watched.wakes.delete(wake);
        if (watched.wakes.size === 0) this.#forget(companyId, watched);
      },
    };
  }

  /** Ends all streams; their readers connect to another process. */
  stop(): void {
    this.#stopping.abort();
  }

  #watch(companyId: CompanyId): Watched {
    const wakes = new Set<Wake>();
    const wakeAll = (): void => {
      for (const wake of wakes) wake();
    };
    const subscriptions = FAMILIES.map((family) =>
      this.#bus.subscribe(`${family}.*.${companyId}.>`, wakeAll),
    );
    const watched = { wakes, subscriptions };
    this.#companies.set(companyId, watched);
    return watched;
  }

  #forget(companyId: CompanyId, { subscriptions }: Watched): void {
    this.#companies.delete(companyId);
    for (const subscription of subscriptions) void subscription.close();
  }
}
