/**
 * Gives shards away at the taker's pace: close the shard's connections, release it, poke, wait until somebody
 * serves it, next. A number is without a connection only for its own shard's turn, however many there are.
 */
import { LEASE_POKE } from "@manyline/contracts";
import {
  isShardOpen,
  mergeShards,
  readShares,
  splitShard,
  type Database,
  type HeldShard,
  type ShardWish,
} from "@manyline/db";
import type { Bus, Clock, Logger } from "@manyline/runtime";
import type { Fleet } from "./fleet.ts";
import type { LeaseKeeper } from "./lease-keeper.ts";

/** How long a taker may need before the next shard goes all the same. */
const TAKER_MS = 3_000;
const LOOK_MS = 25;
/** So many shards are under way at a time, one for each taker at most. */
const MAX_LANES = 4;

type Parts = {
  db: Database;
  bus: Pick<Bus, "poke">;
  clock: Clock;
  logger: Logger;
  leases: () => LeaseKeeper;
  fleet: () => Fleet;
};

export class HandOver {
  readonly #parts: Parts;
  readonly #waiting: number[] = [];
  /** Shards that wait or are under way. */
  readonly #given = new Set<number>();
  readonly #wishes = new Set<number>();
  #lanes = 0;
  /** What is being done to a shard. */
  readonly #busy = new Map<number, Promise<void>>();
  #idle = Promise.withResolvers<void>();

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#idle.resolve();
  }

  /** Gives these away, besides those already on their way. */
  give(shardIds: readonly number[]): void {
    const fresh = shardIds.filter((shardId) => !this.#given.has(shardId));
    if (fresh.length === 0) return;
    if (this.#given.size === 0) this.#idle = Promise.withResolvers<void>();
    for (const shardId of fresh) {
      this.#given.add(shardId);
      this.#waiting.push(shardId);
    }
    void this.#fill();
  }

  /** Resolves when everything given so far is gone. */
  idle(): Promise<void> {
    return this.#idle.promise;
  }

  /** Everything the worker owns, until nothing is left. */
  async giveAll(): Promise<void> {
    this.give([...this.#parts.leases().shards.keys()]);
    await this.idle();
  }

  /** An operator changed his mind: what has not begun stays. */
  keepRest(): void {
    for (const shardId of this.#waiting.splice(0)) this.#given.delete(shardId);
    if (this.#given.size === 0) this.#idle.resolve();
  }

  /** What an operator wants of a shard; repeated until it is done. */
  fulfil(shardId: number, wish: ShardWish): void {
    if (wish.kind === "release") this.give([shardId]);
    else if (!this.#wishes.has(shardId) && !this.#given.has(shardId)) {
      this.#wishes.add(shardId);
      const touched = wish.kind === "merge" ? [shardId, wish.upper] : [shardId];
      void this.#exclusively(touched, () => this.#reshape(shardId, wish)).finally(() =>
        this.#wishes.delete(shardId),
      );
    }
  }

  /** One thing at a time happens to a shard. */
  async #exclusively(shardIds: readonly number[], task: () => Promise<void>): Promise<void> {
    for (;;) {
      const others = shardIds.flatMap((shardId) => this.#busy.get(shardId) ?? []);
      if (others.length === 0) break;
      await Promise.all(others);
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    for (const shardId of shardIds) this.#busy.set(shardId, promise);
    try {
      await task();
    } finally {
      for (const shardId of shardIds) this.#busy.delete(shardId);
      resolve();
    }
  }

  async #fill(): Promise<void> {
    const takers = await this.#takers();
    const lanes = Math.max(1, Math.min(MAX_LANES, takers));
    while (this.#lanes < lanes && this.#waiting.length > 0) {
      this.#lanes += 1;
      void this.#lane(takers > 0).finally(() => {
        this.#lanes -= 1;
      });
    }
  }

  async #lane(hasTaker: boolean): Promise<void> {
    for (;;) {
      const shardId = this.#waiting.shift();
      if (shardId === undefined) return;
      try {
        await this.#exclusively([shardId], () => this.#giveOne(shardId, hasTaker));
      } catch (error) {
        // Closed and not released: the next renewal finds it served by nobody and gives it back.
        this.#parts.logger.warn(
          { event: "shard.hand_over_failed", shard: shardId, err: error },
          "hand-over",
        );
      } finally {
        this.#given.delete(shardId);
        if (this.#given.size === 0) this.#idle.resolve();
      }
    }
  }

  async #giveOne(shardId: number, hasTaker: boolean): Promise<void> {
    const { clock, logger } = this.#parts;
    const leases = this.#parts.leases();
    const epoch = leases.shards.get(shardId);
    if (epoch === undefined) return;
    const startedAt = clock.monotonic();
    const numbers = await this.#parts.fleet().close(shardId);
    await leases.release([shardId]);
    const isOpen = hasTaker && (await this.#untilServed(shardId, epoch));
    logger.info(
      {
        event: "shard.handed_over",
        shard: shardId,
        epoch,
        numbers,
        taken: isOpen,
        ms: Math.round(clock.monotonic() - startedAt),
      },
      "shard handed over",
    );
  }

  /** False: nobody serves it within the time. */
  async #untilServed(shardId: number, epoch: number): Promise<boolean> {
    const { db, clock } = this.#parts;
    const giveUpAt = clock.monotonic() + TAKER_MS;
    while (clock.monotonic() < giveUpAt) {
      await clock.sleep(LOOK_MS);
      if (await isShardOpen(db, shardId, epoch).catch(() => false)) return true;
    }
    return false;
  }

  /**
   * Split or merge: the numbers that move are closed first, and whoever claims them raises their epoch. When the
   * answer is lost nobody knows what became of it: then everything is closed and given back.
   */
  async #reshape(shardId: number, wish: Exclude<ShardWish, { kind: "release" }>): Promise<void> {
    const leases = this.#parts.leases();
    const epoch = leases.shards.get(shardId);
    if (epoch === undefined) return;
    try {
      if (wish.kind === "split") await this.#split({ shardId, epoch }, wish.at);
      else await this.#merge({ shardId, epoch }, wish.upper);
    } catch (error) {
      this.#parts.logger.warn(
        { event: "shard.reshape_failed", shard: shardId, err: error },
        "split or merge",
      );
      this.give([shardId]);
    }
    this.#parts.bus.poke(LEASE_POKE);
  }

  async #split(shard: HeldShard, at: number): Promise<void> {
    const fleet = this.#parts.fleet();
    const { workerId } = this.#parts.leases();
    await fleet.close(shard.shardId, at);
    const made = await splitShard(this.#parts.db, { workerId, ...shard, at });
    this.#parts.logger.info(
      { event: "shard.split", shard: shard.shardId, at, made },
      "shard split",
    );
    fleet.reopen(shard.shardId);
  }

  async #merge(shard: HeldShard, upper: number): Promise<void> {
    const leases = this.#parts.leases();
    const upperEpoch = leases.shards.get(upper);
    if (upperEpoch === undefined) return;
    await Promise.all([shard.shardId, upper].map((one) => this.#parts.fleet().close(one)));
    const { workerId } = leases;
    // Before the call: a renewal between its commit and its answer must not miss them. Not merged after all: the
    // next renewal finds both served by nobody and gives them back.
    leases.forget([shard.shardId, upper]);
    const removed = await mergeShards(this.#parts.db, { workerId, ...shard, upperEpoch });
    this.#parts.logger.info(
      { event: "shard.merged", shard: shard.shardId, removed },
      "shards merged",
    );
  }

  /** Other workers that can take something. Unknown counts as one: waiting costs 3 s, not waiting a gap. */
  async #takers(): Promise<number> {
    const { db } = this.#parts;
    const leases = this.#parts.leases();
    try {
      const { liveWorkers } = await readShares(db, leases.workerId);
      return leases.isDraining ? liveWorkers : liveWorkers - 1;
    } catch {
      return 1;
    }
  }
}
