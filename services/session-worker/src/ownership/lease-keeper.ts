/**
 * Claims shards and keeps their leases. Expiry is judged by Postgres' clock alone; this process trusts only
 * its monotonic clock: past its own deadline it is quiet, until Postgres says what is still its own.
 */
import { LEASE_POKE } from "@manyline/contracts";
import type { OwnedShard, ShardWish, WorkerReport } from "@manyline/db";
import type { Bus, BusSubscription, Clock, Logger } from "@manyline/runtime";
import { shardsToShed, weightToClaim } from "../domain/fair-share.ts";
import { SerialQueue } from "../numbers/serial-queue.ts";
import type { LeaseStore } from "./lease-store.ts";

export const LEASE = {
  ttlMs: 10_000,
  renewMs: 2_500,
  tickMs: 1_000,
  /** The deadline lies this much before the lease's end, for clocks that run differently. */
  marginMs: 3_000,
  /** Quiet for so long, sockets are closed: somebody else may be owner since long. */
  closeAfterMs: 60_000,
  /** How often the deadline is looked at. */
  checkMs: 100,
} as const;

export type LeaseFigures = { readonly [Name in keyof typeof LEASE]: number };

/** At most this many shards at a look: of several workers that start together none takes all. */
const CLAIM_AT_ONCE = 16;
/** After a full claim there is probably more. */
const CLAIM_AGAIN_MS = 250;

export type LeaseEvents = {
  onClaimed(shardId: number, epoch: number): void;
  /** Somebody else has it, or may have: drop it, write nothing. */
  onLost(shardId: number): void;
  onQuiet(isQuiet: boolean): void;
  /** Quiet for too long: let go of every connection. */
  onSilence(): void;
  /** More than the fair share: give these away. Told at every look until it is done. */
  onSurplus(shardIds: number[]): void;
  /** What an operator wants of a shard. Told at every renewal until it is done. */
  onWish(shardId: number, wish: ShardWish): void;
  /** An operator wants the worker to hand everything over: told at every renewal as long as he does. */
  onDrainAsked(): void;
  /** An operator wants the worker to work again. */
  onDrainOver(): void;
};

export type LeaseParts = {
  store: LeaseStore;
  bus: Pick<Bus, "poke" | "subscribe">;
  clock: Clock;
  logger: Logger;
  /** A name that was never used before. */
  newWorkerId: () => string;
  events: LeaseEvents;
  report: () => WorkerReport;
  /** Of the shards owned. */
  weights: () => ReadonlyMap<number, number>;
  figures?: LeaseFigures;
};

export class LeaseKeeper {
  readonly #parts: LeaseParts;
  readonly #figures: LeaseFigures;
  readonly #held = new Map<number, number>();
  /** One statement at a time, in the order of the decisions. */
  readonly #queue = new SerialQueue();
  #workerId: string;
  #isRegistered = false;
  #deadline = Number.NEGATIVE_INFINITY;
  #hasRenewed = false;
  /** Since when renewals have gone through without a gap; undefined: the last one failed. */
  #gaplessSince: number | undefined;
  #isQuiet = true;
  #isSilent = false;
  #isDraining = false;
  #isDrainAsked = false;
  #isBusy = false;
  #wantsMore = false;
  #isStopped = false;
  #cancels: (() => void)[] = [];
  #subscription: BusSubscription | undefined;
  #lastRenewal = Number.NEGATIVE_INFINITY;
  /** As of the last renewal. */
  #owned = new Map<number, OwnedShard>();

  constructor(parts: LeaseParts) {
    this.#parts = parts;
    this.#figures = parts.figures ?? LEASE;
    this.#workerId = parts.newWorkerId();
  }

  /** The present incarnation: a new one after somebody took something from us. */
  get workerId(): string {
    return this.#workerId;
  }
  /** No write and no send while true. */
  get isQuiet(): boolean {
    return this.#isQuiet || this.#parts.clock.monotonic() > this.#deadline;
  }
  get shards(): ReadonlyMap<number, number> {
    return this.#held;
  }
  get isDraining(): boolean {
    return this.#isDraining || this.#isDrainAsked;
  }

  start(): void {
    this.#subscription = this.#parts.bus.subscribe(LEASE_POKE, () => this.look());
    this.#every(this.#figures.tickMs, () => this.look());
    this.#every(this.#figures.checkMs, () => this.#checkDeadline());
    this.look();
  }

  /** Renews if it is time, and claims what is free. Safe to call at any moment. */
  look(): void {
    if (this.#isStopped) return;
    if (this.#isBusy) {
      this.#wantsMore = true;
      return;
    }
    this.#isBusy = true;
    void this.#queue
      .add(() => this.#work())
      .finally(() => {
        this.#isBusy = false;
        if (!this.#wantsMore) return;
        this.#wantsMore = false;
        this.look();
      });
  }

  /** Renews now, whatever the time: after a connection was replaced, or a write was fenced. */
  ask(): void {
    this.#lastRenewal = Number.NEGATIVE_INFINITY;
    this.look();
  }

  /** Claims nothing more, and tells the others, whose shares do not count on this worker then. */
  async drain(): Promise<void> {
    this.#isDraining = true;
    await this.#queue.add(() => this.#renew());
  }

  /** Gives shards to whoever wants them. Their connections must be closed. */
  async release(shardIds: number[]): Promise<void> {
    const workerId = this.#workerId;
    const shards = shardIds.flatMap((shardId) => {
      const epoch = this.#held.get(shardId);
      return epoch === undefined ? [] : [{ shardId, epoch }];
    });
    this.forget(shardIds);
    if (shards.length === 0) return;
    await this.#queue.add(() => this.#parts.store.release(workerId, shards));
    this.#parts.bus.poke(LEASE_POKE);
  }

  /** They are ours no more by our own doing (released, merged away). */
  forget(shardIds: number[]): void {
    for (const shardId of shardIds) {
      this.#held.delete(shardId);
      this.#owned.delete(shardId);
    }
  }

  /** Gives everything back, so that others take it at once. */
  async stop(): Promise<void> {
    this.#isDraining = true;
    this.#isStopped = true;
    for (const cancel of this.#cancels) cancel();
    await this.#subscription?.close();
    this.#held.clear();
    await this.#queue.add(async () => {
      await this.#parts.store.release(this.#workerId);
      await this.#parts.store.remove(this.#workerId);
    });
    this.#parts.bus.poke(LEASE_POKE);
  }

  async #work(): Promise<void> {
    try {
      const { clock } = this.#parts;
      const sinceMs = clock.monotonic() - this.#lastRenewal;
      if (sinceMs >= this.#figures.renewMs - this.#figures.tickMs / 2) await this.#renew();
      if (!this.isDraining && !this.isQuiet) await this.#balance();
    } catch (error) {
      this.#gaplessSince = undefined;
      this.#parts.logger.warn({ event: "lease.failed", err: error }, "leases could not be renewed");
    }
  }

  async #renew(): Promise<void> {
    const { store, clock, report, weights } = this.#parts;
    const before = clock.monotonic();
    if (!this.#isRegistered) {
      await store.register(this.#workerId, this.isDraining);
      this.#isRegistered = true;
    }
    const renewal = await store.renew(this.#workerId, {
      draining: this.isDraining,
      report: report(),
      weights: weights(),
    });
    // A deadline that passed unseen in between must be seen: what was held back waits for the end of it.
    this.#checkDeadline();
    // Its row was removed while it was away; the leases are what counts.
    this.#isRegistered = renewal.isRegistered;
    this.#lastRenewal = before;
    this.#deadline = before + this.#figures.ttlMs - this.#figures.marginMs;
    this.#hasRenewed = true;
    this.#gaplessSince ??= before;
    const kept = new Map(renewal.shards.map((shard) => [shard.shardId, shard]));
    const isRobbed = [...this.#held].some(([shardId, epoch]) => kept.get(shardId)?.epoch !== epoch);
    if (isRobbed) {
      await this.#startAnew();
      return;
    }
    await this.#returnStrays(kept);
    this.#owned = kept;
    this.#checkDeadline();
    this.#passOn(renewal.isDrainAsked, renewal.shards);
  }

  /**
   * Ours in the database but served by nobody here: let go while Postgres was away, or the answer to a claim was
   * lost. Given back, so that taking it again raises the epoch.
   */
  async #returnStrays(kept: ReadonlyMap<number, OwnedShard>): Promise<void> {
    const strays = [...kept.values()].filter(({ shardId }) => !this.#held.has(shardId));
    if (strays.length > 0) await this.#parts.store.release(this.#workerId, strays);
  }

  /**
   * Somebody took a shard from us while we were away. Statements of ours may still be on their way: they carry
   * the old name and can do nothing for the new one. What was left to us is given back.
   */
  async #startAnew(): Promise<void> {
    const { store, logger, events, newWorkerId, bus } = this.#parts;
    const former = this.#workerId;
    const lost = [...this.#held.keys()];
    this.#held.clear();
    this.#owned.clear();
    for (const shardId of lost) events.onLost(shardId);
    this.#workerId = newWorkerId();
    this.#isRegistered = false;
    this.#gaplessSince = undefined;
    this.#deadline = Number.NEGATIVE_INFINITY;
    this.#lastRenewal = Number.NEGATIVE_INFINITY;
    this.#hasRenewed = false;
    this.#checkDeadline();
    logger.warn(
      { event: "lease.fenced", former, worker: this.#workerId, shards: lost.length },
      "somebody took over while this worker was away; it goes on under a new name",
    );
    this.#wantsMore = true;
    await store.release(former);
    await store.remove(former);
    bus.poke(LEASE_POKE);
  }

  #passOn(isDrainAsked: boolean, shards: readonly OwnedShard[]): void {
    const { events } = this.#parts;
    const isOver = this.#isDrainAsked && !isDrainAsked;
    this.#isDrainAsked = isDrainAsked;
    if (isDrainAsked) events.onDrainAsked();
    else if (isOver) events.onDrainOver();
    for (const { shardId, wish } of shards) {
      if (wish && this.#held.has(shardId)) events.onWish(shardId, wish);
    }
  }

  /** Takes what is free up to the fair share, and gives away what is beyond it. */
  async #balance(): Promise<void> {
    const { store, clock, events } = this.#parts;
    const shares = await store.shares(this.#workerId);
    if (shares.claimable > 0) {
      const gapless = this.#gaplessSince === undefined ? 0 : clock.monotonic() - this.#gaplessSince;
      // After an outage of Postgres everybody first renews its own: nothing moves.
      const mayTakeExpired = gapless >= this.#figures.ttlMs;
      const claimed = await store.claim(this.#workerId, {
        maxWeight: weightToClaim(shares, mayTakeExpired),
        limit: CLAIM_AT_ONCE,
        mayTakeExpired,
      });
      for (const { shardId, epoch } of claimed) {
        // A claim that ran late may answer with what we held before it was taken from us and given back.
        if (this.#held.has(shardId)) events.onLost(shardId);
        this.#held.set(shardId, epoch);
        events.onClaimed(shardId, epoch);
      }
      if (claimed.length === CLAIM_AT_ONCE) clock.setTimer(CLAIM_AGAIN_MS, () => this.look());
      if (claimed.length > 0) return;
    }
    const mine = [...this.#held.keys()].map((shardId) => ({
      shardId,
      weight: this.#owned.get(shardId)?.weight ?? 1,
      // Of what was claimed since the last renewal nothing is known yet: it stays.
      isBound: this.#owned.get(shardId)?.isBound ?? true,
    }));
    const surplus = shardsToShed(shares, mine);
    if (surplus.length > 0) events.onSurplus(surplus);
  }

  #checkDeadline(): void {
    const overdueMs = this.#parts.clock.monotonic() - this.#deadline;
    if (overdueMs > 0 !== this.#isQuiet) {
      this.#isQuiet = overdueMs > 0;
      if (this.#isQuiet) this.#gaplessSince = undefined;
      else this.#isSilent = false;
      this.#parts.events.onQuiet(this.#isQuiet);
    }
    const isTooLong = this.#isQuiet && overdueMs > this.#figures.closeAfterMs;
    if (isTooLong && this.#hasRenewed && !this.#isSilent) {
      this.#isSilent = true;
      this.#held.clear();
      this.#owned.clear();
      this.#parts.events.onSilence();
    }
  }

  #every(ms: number, task: () => void): void {
    const { clock } = this.#parts;
    const slot = this.#cancels.length;
    const arm = (): void => {
      this.#cancels[slot] = clock.setTimer(ms, () => {
        task();
        if (!this.#isStopped) arm();
      });
    };
    arm();
  }
}
