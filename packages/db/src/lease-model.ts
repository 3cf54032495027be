/**
 * The lease statements of this room as a model in memory, for tests that want thousands of schedules: shards,
 * leases, workers and the operators' wishes, on a clock that the test moves. `fence-model-leases.test.ts`
 * runs the same random sequences against it and against Postgres. Not for services.
 */
import type {
  HeldShard,
  OwnedShard,
  Renewal,
  Shares,
  ShardWish,
  WorkerReport,
} from "./repositories/leases.ts";
import type { ShardWishes } from "./repositories/shard-admin.ts";
import type { WorkerInput } from "./repositories/workers.ts";

const TTL_MS = 10_000;
const NEWEST_FIRST_MS = 2_000;

export type ModelLease = {
  shardId: number;
  lo: number;
  hi: number;
  owner: string | null;
  epoch: number;
  expiresAt: number | null;
  releasedAt: number | null;
  weight: number;
  moves: number;
  pinnedTo: string | null;
  paused: boolean;
  splitAt: number | null;
  mergeNext: boolean;
};

type ModelWorker = {
  workerId: string;
  host: string;
  generation: number;
  capacity: number;
  draining: boolean;
  drainAsked: boolean;
  startedAt: number;
  seenAt: number;
};

export class LeaseModel {
  /** Postgres' clock, milliseconds; the test moves it. */
  now = 0;
  readonly #ttlMs: number;
  readonly #companies: readonly number[];
  readonly #leases = new Map<number, ModelLease>();
  readonly #workers = new Map<string, ModelWorker>();
  #lastShard = 0;

  /** Shards as [shardId, lo, hi); `companies`: those that exist, by company_no. */
  constructor(options: {
    shards: readonly (readonly [number, number, number])[];
    companies?: readonly number[];
    ttlMs?: number;
  }) {
    this.#ttlMs = options.ttlMs ?? TTL_MS;
    this.#companies = options.companies ?? [];
    for (const [shardId, lo, hi] of options.shards) {
      this.#addLease({ shardId, lo, hi, epoch: 0, releasedAt: null, weight: 1 });
      this.#lastShard = Math.max(this.#lastShard, shardId);
    }
  }

  /** In the order of their ids. */
  get leases(): ModelLease[] {
    return [...this.#leases.values()].toSorted((a, b) => a.shardId - b.shardId);
  }
  lease(shardId: number): ModelLease | undefined {
    return this.#leases.get(shardId);
  }
  /** The shard of a company. */
  shardOf(companyNo: number): ModelLease | undefined {
    return this.leases.find(({ lo, hi }) => lo <= companyNo && companyNo < hi);
  }

  registerWorker(input: WorkerInput): void {
    const { workerId, host = workerId, generation, capacity, draining = false } = input;
    const known = this.#workers.get(workerId);
    this.#workers.set(workerId, {
      workerId,
      host,
      generation,
      capacity,
      draining,
      drainAsked: known?.drainAsked ?? draining,
      startedAt: known?.startedAt ?? this.now,
      seenAt: this.now,
    });
  }

  removeWorker(workerId: string): void {
    this.#workers.delete(workerId);
  }

  renewLeases(
    workerId: string,
    options: { draining: boolean; report?: WorkerReport; weights: ReadonlyMap<number, number> },
  ): Renewal {
    const me = this.#workers.get(workerId);
    const shards: OwnedShard[] = [];
    for (const lease of this.leases) {
      if (lease.owner !== workerId) continue;
      lease.expiresAt = this.now + this.#ttlMs;
      const weight = options.weights.get(lease.shardId);
      if (weight !== undefined) lease.weight = Math.max(1, Math.round(weight));
      const { shardId, epoch, weight: stored } = lease;
      const isBound = me !== undefined && lease.pinnedTo === me.host;
      shards.push({ shardId, epoch, weight: stored, isBound, wish: this.#wishOf(lease, me) });
    }
    // Wishes are judged by the workers as they were before this heartbeat.
    const answer = {
      isRegistered: me !== undefined,
      isDrainAsked: me?.drainAsked ?? false,
      shards,
    };
    if (me) {
      me.seenAt = this.now;
      me.draining = options.draining;
    }
    return answer;
  }

  #wishOf(lease: ModelLease, me: ModelWorker | undefined): ShardWish | null {
    const { lo, hi, pinnedTo, paused, splitAt, mergeNext } = lease;
    const isPinnedAway =
      me !== undefined &&
      pinnedTo !== null &&
      pinnedTo !== me.host &&
      this.#takers().some(({ host }) => host === pinnedTo);
    if (paused || isPinnedAway) return { kind: "release" };
    if (splitAt !== null && lo < splitAt && splitAt < hi) return { kind: "split", at: splitAt };
    const upper = mergeNext ? this.leases.find((other) => other.lo === hi) : undefined;
    if (upper && upper.owner === lease.owner) return { kind: "merge", upper: upper.shardId };
    return null;
  }

  readShares(workerId: string): Shares {
    const takers = this.#takers();
    const active = this.leases.filter(({ paused }) => !paused);
    const weightOf = (owner: string): number =>
      sum(active.filter((lease) => lease.owner === owner).map(({ weight }) => weight));
    const totalWeight = sum(active.map(({ weight }) => weight));
    const liveCapacity = sum(takers.map(({ capacity }) => capacity));
    const newest = Math.max(...takers.map(({ generation }) => generation));
    const oldest = Math.min(
      ...takers.filter((one) => one.generation === newest).map(({ startedAt }) => startedAt),
    );
    const live = [...this.#workers.values()].filter((one) => this.#isLive(one));
    return {
      totalWeight,
      myWeight: weightOf(workerId),
      myShards: this.leases.filter(({ owner }) => owner === workerId).length,
      claimable: this.leases.filter((lease) => this.#isClaimable(lease, workerId)).length,
      expired: this.leases.filter(
        (lease) => lease.owner !== null && this.#isClaimable(lease, workerId),
      ).length,
      liveWorkers: takers.length,
      liveCapacity,
      ableCapacity: sum(
        takers
          .filter(({ startedAt }) => startedAt < this.now - this.#ttlMs)
          .map(({ capacity }) => capacity),
      ),
      myCapacity: this.#workers.get(workerId)?.capacity ?? 0,
      isMixed: new Set(live.map(({ generation }) => generation)).size > 1,
      newestAgeMs: takers.length === 0 ? 0 : this.now - oldest,
      hasTaker: takers.some(
        (taker) =>
          taker.workerId !== workerId &&
          weightOf(taker.workerId) < (totalWeight * taker.capacity) / liveCapacity,
      ),
    };
  }

  claimShards(
    workerId: string,
    options: { maxWeight?: number; limit: number; mayTakeExpired: boolean },
  ): HeldShard[] {
    const { maxWeight = Number.POSITIVE_INFINITY, limit, mayTakeExpired } = options;
    const me = this.#takers().find((taker) => taker.workerId === workerId);
    if (!me || limit <= 0) return [];
    const rank = (lease: ModelLease): number =>
      (lease.pinnedTo === me.host ? 0 : 2) + (lease.owner === null ? 0 : 1);
    const free = this.leases
      .filter(
        (lease) => this.#isClaimable(lease, workerId) && (lease.owner === null || mayTakeExpired),
      )
      .toSorted((a, b) => rank(a) - rank(b) || a.shardId - b.shardId)
      .slice(0, limit);
    const claimed: HeldShard[] = [];
    let before = 0;
    for (const lease of free) {
      if (lease.pinnedTo === me.host || before < maxWeight) {
        if (lease.epoch > 0) lease.moves += 1;
        lease.owner = workerId;
        lease.epoch += 1;
        lease.releasedAt = null;
        lease.expiresAt = this.now + this.#ttlMs;
        claimed.push({ shardId: lease.shardId, epoch: lease.epoch });
      }
      before += lease.weight;
    }
    return claimed.toSorted((a, b) => a.shardId - b.shardId);
  }

  releaseShards(workerId: string, shards?: readonly HeldShard[]): number[] {
    const released: number[] = [];
    for (const lease of this.leases) {
      const isNamed =
        shards === undefined ||
        shards.some(({ shardId, epoch }) => shardId === lease.shardId && epoch === lease.epoch);
      if (lease.owner !== workerId || !isNamed) continue;
      this.#free(lease);
      released.push(lease.shardId);
    }
    return released;
  }

  splitShard(input: {
    workerId: string | null;
    shardId: number;
    epoch?: number;
    at: number;
  }): number | undefined {
    const lease = this.#leases.get(input.shardId);
    const { at } = input;
    if (!lease || !this.#isHandled(lease, input.workerId, input.epoch)) return undefined;
    if (at <= lease.lo || at >= lease.hi) return undefined;
    this.#lastShard = Math.max(this.#lastShard, ...this.#leases.keys()) + 1;
    const inside = this.#companies.filter((no) => lease.lo <= no && no < lease.hi);
    const moved = inside.filter((no) => no >= at).length;
    const weight = 1 + Math.trunc(((lease.weight - 1) * moved) / Math.max(inside.length, 1));
    const shardId = this.#lastShard;
    const { epoch, hi } = lease;
    const { paused, pinnedTo } = lease;
    this.#addLease({ shardId, lo: at, hi, epoch, releasedAt: this.now, weight });
    this.wishShard(shardId, { paused, pinnedTo });
    lease.hi = at;
    lease.splitAt = null;
    lease.weight = Math.max(1, lease.weight - weight + 1);
    return shardId;
  }

  mergeShards(input: {
    workerId: string | null;
    shardId: number;
    epoch?: number;
    upperEpoch?: number;
  }): number | undefined {
    const lease = this.#leases.get(input.shardId);
    const upper = lease && this.leases.find(({ lo }) => lo === lease.hi);
    if (!upper) return undefined;
    if (!this.#isHandled(lease, input.workerId, input.epoch)) return undefined;
    if (!this.#isHandled(upper, input.workerId, input.upperEpoch)) return undefined;
    if (lease.paused !== upper.paused) return undefined;
    this.#leases.delete(upper.shardId);
    this.#lastShard = Math.max(this.#lastShard, upper.shardId);
    lease.hi = upper.hi;
    lease.epoch = Math.max(lease.epoch, upper.epoch);
    lease.weight += upper.weight - 1;
    lease.mergeNext = false;
    lease.pinnedTo ??= upper.pinnedTo;
    this.#free(lease);
    return upper.shardId;
  }

  wishShard(shardId: number, { pinnedTo, paused, splitAt, mergeNext }: ShardWishes): boolean {
    const lease = this.#leases.get(shardId);
    if (!lease) return false;
    const isInside = splitAt == null || (lease.lo < splitAt && splitAt < lease.hi);
    if (!isInside) return false;
    if (pinnedTo !== undefined) lease.pinnedTo = pinnedTo;
    if (paused !== undefined) lease.paused = paused;
    if (splitAt !== undefined) lease.splitAt = splitAt;
    if (mergeNext !== undefined) lease.mergeNext = mergeNext;
    return true;
  }

  askDrain(workerId: string, isAsked: boolean): boolean {
    const worker = this.#workers.get(workerId);
    if (worker) worker.drainAsked = isAsked;
    return worker !== undefined;
  }

  #isLive(worker: ModelWorker): boolean {
    return worker.seenAt > this.now - this.#ttlMs;
  }

  /** Live and willing. */
  #takers(): ModelWorker[] {
    return [...this.#workers.values()].filter(
      (one) => this.#isLive(one) && !one.draining && !one.drainAsked,
    );
  }

  #isClaimable(lease: ModelLease, workerId: string): boolean {
    if (lease.paused) return false;
    const takers = this.#takers();
    const me = this.#workers.get(workerId);
    const isNewest =
      me !== undefined && !takers.some(({ generation }) => generation > me.generation);
    const isFree =
      lease.owner === null
        ? isNewest || lease.releasedAt === null || lease.releasedAt < this.now - NEWEST_FIRST_MS
        : lease.owner !== workerId && (lease.expiresAt ?? 0) < this.now;
    const { pinnedTo } = lease;
    return (
      isFree &&
      (pinnedTo === null || pinnedTo === me?.host || !takers.some(({ host }) => host === pinnedTo))
    );
  }

  /** Nobody's, or that worker's, in the named epoch. */
  #isHandled(lease: ModelLease, workerId: string | null, epoch?: number): boolean {
    return (
      (lease.owner === null || lease.owner === workerId) &&
      (epoch === undefined || epoch === lease.epoch)
    );
  }

  #free(lease: ModelLease): void {
    lease.owner = null;
    lease.expiresAt = null;
    lease.releasedAt = this.now;
  }

  #addLease(
    start: Pick<ModelLease, "shardId" | "lo" | "hi" | "epoch" | "releasedAt" | "weight">,
  ): void {
    this.#leases.set(start.shardId, {
      ...start,
      owner: null,
      expiresAt: null,
      moves: 0,
      pinnedTo: null,
      paused: false,
      splitAt: null,
      mergeNext: false,
    });
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
