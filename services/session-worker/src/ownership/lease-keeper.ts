/**
 * Claims shards and keeps their leases. Expiry is judged by Postgres' clock alone; this process trusts only
 * its monotonic clock: past its own deadline it is quiet, until Postgres says what is still its own.
 */
import {
  claimShards,
  countShards,
  registerWorker,
  releaseShards,
  removeWorker,
  renewLeases,
  type Database,
} from "@manyline/db";
import { LEASE_POKE } from "@manyline/contracts";
import type { Bus, BusSubscription, Clock, Logger } from "@manyline/runtime";

export const LEASE = {
  ttlMs: 10_000,
  renewMs: 2_500,
  tickMs: 1_000,
  /** The deadline lies this much before the lease's end, for clocks that run differently. */
  marginMs: 3_000,
  /** Quiet for so long, sockets are closed: somebody else may be owner since long. */
  closeAfterMs: 60_000,
} as const;

export type LeaseFigures = { readonly [Name in keyof typeof LEASE]: number };

export type LeaseEvents = {
  onClaimed(shardId: number, epoch: number): void;
  onLost(shardId: number): void;
  onQuiet(isQuiet: boolean): void;
  /** Quiet for too long: let go of every connection. */
  onSilence(): void;
};

export class LeaseKeeper {
  readonly #db: Database;
  readonly #bus: Bus;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #workerId: string;
  readonly #capacity: number;
  readonly #events: LeaseEvents;
  readonly #figures: LeaseFigures;
  readonly #held = new Map<number, number>();
  #deadline = 0;
  /** Since when renewals have gone through without a gap; undefined: the last one failed. */
  #gaplessSince: number | undefined;
  #isQuiet = true;
  #isSilent = false;
  #isDraining = false;
  #isBusy = false;
  #wantsMore = false;
  #timers: NodeJS.Timeout[] = [];
  #subscription: BusSubscription | undefined;
  #lastRenewal = Number.NEGATIVE_INFINITY;

  constructor(parts: {
    /** A pool of its own with one connection: no other query may delay a renewal. */
    db: Database;
    bus: Bus;
    clock: Clock;
    logger: Logger;
    workerId: string;
    capacity: number;
    events: LeaseEvents;
    figures?: LeaseFigures;
  }) {
    this.#figures = parts.figures ?? LEASE;
    this.#db = parts.db;
    this.#bus = parts.bus;
    this.#clock = parts.clock;
    this.#logger = parts.logger;
    this.#workerId = parts.workerId;
    this.#capacity = parts.capacity;
    this.#events = parts.events;
  }

  /** No write and no send while true. */
  get isQuiet(): boolean {
    return this.#isQuiet || this.#clock.monotonic() > this.#deadline;
  }
  get shards(): ReadonlyMap<number, number> {
    return this.#held;
  }

  start(): void {
    this.#subscription = this.#bus.subscribe(LEASE_POKE, () => this.look());
    this.#timers = [
      setInterval(() => this.look(), this.#figures.tickMs),
      setInterval(() => this.#checkDeadline(), 100),
    ];
    this.look();
  }

  /** Renews if it is time, and claims what is free. Safe to call at any moment. */
  look(): void {
    if (this.#isBusy) {
      this.#wantsMore = true;
      return;
    }
    this.#isBusy = true;
    void this.#work().finally(() => {
      this.#isBusy = false;
      if (this.#wantsMore) {
        this.#wantsMore = false;
        this.look();
      }
    });
  }

  /** Renews now, whatever the time: after a connection was replaced. */
  ask(): void {
    this.#lastRenewal = Number.NEGATIVE_INFINITY;
    this.look();
  }

  /** Claims nothing more. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Gives everything back, so that others take it at once. */
  async stop(): Promise<void> {
    this.drain();
    for (const timer of this.#timers) clearInterval(timer);
    await this.#subscription?.close();
    await releaseShards(this.#db, this.#workerId);
    await removeWorker(this.#db, this.#workerId);
    this.#held.clear();
    this.#bus.poke(LEASE_POKE);
  }

  async #work(): Promise<void> {
    try {
      const isDue =
        this.#clock.monotonic() - this.#lastRenewal >=
        this.#figures.renewMs - this.#figures.tickMs / 2;
      if (isDue) await this.#renew();
      if (!this.#isDraining && !this.isQuiet) await this.#claim();
    } catch (error) {
      this.#gaplessSince = undefined;
      this.#logger.warn({ event: "lease.failed", err: error }, "leases could not be renewed");
    }
  }

  async #renew(): Promise<void> {
    const before = this.#clock.monotonic();
    await registerWorker(this.#db, {
      workerId: this.#workerId,
      generation: 0,
      capacity: this.#capacity,
    });
    const kept = new Map(
      (await renewLeases(this.#db, this.#workerId, this.#figures.ttlMs)).map((one) => [
        one.shardId,
        one.epoch,
      ]),
    );
    this.#lastRenewal = before;
    this.#deadline = before + this.#figures.ttlMs - this.#figures.marginMs;
    this.#gaplessSince ??= before;
    for (const [shardId, epoch] of this.#held) {
      if (kept.get(shardId) === epoch) continue;
      this.#held.delete(shardId);
      this.#events.onLost(shardId);
    }
    // Ours in the database but served by nobody here: let go while Postgres was away, or the answer to a claim was
    // lost. Given back, so that taking it again raises the epoch.
    const strays = [...kept.keys()].filter((shardId) => !this.#held.has(shardId));
    if (strays.length > 0) await releaseShards(this.#db, this.#workerId, strays);
    this.#checkDeadline();
  }

  async #claim(): Promise<void> {
    const count = await countShards(this.#db, this.#workerId);
    if (count.unowned === 0) return;
    const share = Math.ceil(count.total / Math.max(1, count.liveWorkers)) - this.#held.size;
    if (share <= 0) return;
    const gapless =
      this.#gaplessSince === undefined ? 0 : this.#clock.monotonic() - this.#gaplessSince;
    const claimed = await claimShards(this.#db, this.#workerId, {
      limit: share,
      ttlMs: this.#figures.ttlMs,
      // After an outage of Postgres everybody first renews its own: nothing moves.
      mayTakeExpired: gapless >= this.#figures.ttlMs,
    });
    for (const { shardId, epoch } of claimed) {
      this.#held.set(shardId, epoch);
      this.#events.onClaimed(shardId, epoch);
    }
  }

  #checkDeadline(): void {
    const overdueMs = this.#clock.monotonic() - this.#deadline;
    if (overdueMs > 0 !== this.#isQuiet) {
      this.#isQuiet = overdueMs > 0;
      if (this.#isQuiet) this.#gaplessSince = undefined;
      else this.#isSilent = false;
      this.#events.onQuiet(this.#isQuiet);
    }
    if (
      this.#isQuiet &&
      !this.#isSilent &&
      overdueMs > this.#figures.closeAfterMs &&
      this.#deadline > 0
    ) {
      this.#isSilent = true;
      this.#held.clear();
      this.#events.onSilence();
    }
  }
}
