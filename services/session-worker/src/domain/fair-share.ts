/**
 * How many shards a worker should own, by weight. Pure: figures in, decisions out.
 *
 * A worker takes shards while it is below its share, so it may end above it by one shard; it gives one away
 * only if it stays at or above its share without it and somebody else is below theirs. Every such move makes
 * the fleet more even, so moves come to an end when nothing changes.
 */
import type { Shares } from "@manyline/db";

/** Give away at most this part of the shards at a time, so that a mistake moves little. */
const SHED_PART = 0.1;
/** As long as a rollout may take: workers of an older generation are about to leave anyway. */
const ROLLOUT_MS = 600_000;

export type WeighedShard = {
  shardId: number;
  weight: number;
  /** Pinned here: it weighs and stays. */
  isBound?: boolean;
};

/** The weight that is this worker's part of all, by capacity; it does not count itself while it drains. */
export function fairWeight(shares: Shares): number {
  if (shares.liveCapacity <= 0) return shares.totalWeight;
  return (shares.totalWeight * shares.myCapacity) / shares.liveCapacity;
}

/**
 * How much weight the worker may still take; 0: none. Expired leases are shared by those who may take them:
 * whoever has just come would keep its part of them waiting for a whole lease time.
 */
export function weightToClaim(shares: Shares, mayTakeExpired: boolean): number {
  const isRescue = mayTakeExpired && shares.expired > 0 && shares.ableCapacity > 0;
  const among = isRescue ? { ...shares, liveCapacity: shares.ableCapacity } : shares;
  return Math.max(0, fairWeight(among) - shares.myWeight);
}

/**
 * The shards to give away now, lightest first; none while workers of two generations are there, since each
 * number shall move once in a rollout.
 */
export function shardsToShed(shares: Shares, mine: readonly WeighedShard[]): number[] {
  const isRollout = shares.isMixed && shares.newestAgeMs < ROLLOUT_MS;
  if (!shares.hasTaker || isRollout) return [];
  const target = fairWeight(shares);
  const most = Math.max(1, Math.floor(mine.length * SHED_PART));
  let weight = mine.reduce((sum, shard) => sum + shard.weight, 0);
  const shed: number[] = [];
  const free = mine.filter(({ isBound }) => isBound !== true);
  for (const shard of free.toSorted((a, b) => a.weight - b.weight || a.shardId - b.shardId)) {
    if (shed.length >= most || weight - shard.weight < target) break;
    weight -= shard.weight;
    shed.push(shard.shardId);
  }
  return shed;
}
