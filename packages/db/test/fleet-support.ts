/** Shards, workers and leases for the tests of ownership. */
import {
  claimShards,
  registerWorker,
  renewLeases,
  type Renewal,
  SHARD_SIZE,
  type ShardWish,
  type WorkerReport,
} from "../src/index.ts";
import { addCompany, type World } from "./support.ts";

export const IDLE: WorkerReport = { numbers: 0, connected: 0, opening: 0, waiting: 0 };

/** Companies in `count` shards, one in each. */
export async function addShards(world: World, count: number): Promise<void> {
  for (let shard = 0; shard < count; shard += 1) {
    await world.superuser.query("update company_counter set last_no = $1", [shard * SHARD_SIZE]);
    await addCompany(world);
  }
}

/** Nobody owns anything, nothing is wished, every shard weighs 1; the epochs stay. */
export async function freeAll(world: World): Promise<void> {
  await world.superuser.query("delete from workers");
  await world.superuser.query(
    `update shard_leases set owner = null, expires_at = null, released_at = null, weight = 1,
      pinned_to = null, paused = false, split_at = null, merge_next = false, moves = 0`,
  );
  await world.superuser.query("delete from shard_moves");
}

export async function register(
  world: World,
  workerId: string,
  more: { generation?: number; capacity?: number; host?: string } = {},
): Promise<void> {
  const { generation = 1, capacity = 1, host = `host-${workerId}` } = more;
  await registerWorker(world.worker, { workerId, host, version: "test", generation, capacity });
}

export async function renew(
  world: World,
  workerId: string,
  more: { draining?: boolean; report?: WorkerReport; weights?: [number, number][] } = {},
): Promise<Renewal> {
  const { draining = false, report = IDLE, weights = [] } = more;
  return renewLeases(world.worker, workerId, { draining, report, weights: new Map(weights) });
}

export async function claim(
  world: World,
  workerId: string,
  more: { maxWeight?: number; limit?: number; mayTakeExpired?: boolean } = {},
): Promise<{ shardId: number; epoch: number }[]> {
  const { maxWeight = 1_000, limit = 1_000, mayTakeExpired = false } = more;
  return claimShards(world.worker, workerId, { maxWeight, limit, mayTakeExpired });
}

/** What the owner is told of a shard with its next renewal. */
export async function wishOf(
  world: World,
  workerId: string,
  shardId: number,
): Promise<ShardWish | null | undefined> {
  return (await renew(world, workerId)).shards.find((one) => one.shardId === shardId)?.wish;
}
