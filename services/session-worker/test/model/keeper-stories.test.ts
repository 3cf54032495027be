/** What a fleet of real LeaseKeepers does in the situations of every day: how long it takes, what moves. */
import assert from "node:assert/strict";
import { test, type TestContext } from "node:test";
import { LEASE } from "../../src/ownership/lease-keeper.ts";
import { type Fault, SimulatedWorld } from "./simulated-world.ts";
import type { SimulatedWorker } from "./simulated-worker.ts";

/** Each story is lived through so often, with other chances of the network. */
const TIMES = 10;
const TRAITS = { capacity: 1, generation: 1, rate: 1 };
/** A lease, a look, a claim. */
const RECLAIMED_MS = 12_000;

async function settledWorld(
  seed: number,
  workers: number,
  shards: number,
  faults: Fault[] = [],
): Promise<SimulatedWorld> {
  const world = new SimulatedWorld({
    seed,
    workers: Array.from({ length: workers }, () => TRAITS),
    shards: Array.from({ length: shards }, () => 2),
    faults,
  });
  await pass(world, 40_000);
  world.assertEven();
  return world;
}

async function pass({ simulation }: SimulatedWorld, ms: number): Promise<void> {
  await simulation.runUntil(simulation.now + ms);
}

/** Milliseconds until the condition holds, looked at ten times a second. */
async function timeUntil(world: SimulatedWorld, condition: () => boolean): Promise<number> {
  const startedAt = world.simulation.now;
  while (!condition()) {
    assert.ok(world.simulation.now - startedAt < 60_000, "it did not happen within a minute");
    await pass(world, 100);
  }
  return Math.round(world.simulation.now - startedAt);
}

/** Every shard, by one of these. */
function isOwned(world: SimulatedWorld, workers = world.living): boolean {
  const held = new Set(workers.flatMap(({ keeper }) => [...keeper.shards.keys()]));
  return world.database.leases.leases.every(({ shardId }) => held.has(shardId));
}

async function leave(world: SimulatedWorld, worker: SimulatedWorker): Promise<void> {
  void worker.leave();
  await timeUntil(world, () => worker.link.isDead);
}

/** Tells it several times and says what came out; nothing may ever have been broken. */
async function tell(
  t: TestContext,
  what: string,
  story: (seed: number) => Promise<{ world: SimulatedWorld; figure: number }>,
): Promise<number> {
  const figures: number[] = [];
  for (let seed = 1; seed <= TIMES; seed += 1) {
    const { world, figure } = await story(seed);
    assert.deepEqual(world.broken, []);
    figures.push(figure);
  }
  figures.sort((a, b) => a - b);
  t.diagnostic(`${what}: ${figures.join(", ")}`);
  return figures.at(-1) ?? Number.NaN;
}

test("kill -9: its shards are owned again within 12 s, and only they move", async (t) => {
  const slowest = await tell(t, "ms until owned", async (seed) => {
    const world = await settledWorld(seed, 4, 16);
    await pass(world, 250 * seed);
    const victim = world.workers[seed % 4];
    const before = world.database.claims;
    const lost = victim?.keeper.shards.size ?? 0;
    victim?.kill();
    const figure = await timeUntil(world, () => isOwned(world));
    await pass(world, 30_000);
    world.assertEven();
    assert.equal(world.database.claims - before, lost, "more moved than was lost");
    return { world, figure };
  });
  assert.ok(slowest <= RECLAIMED_MS);
});

test("a worker joins: it gets its share, and nothing else moves", async (t) => {
  const most = await tell(t, "shards moved", async (seed) => {
    const world = await settledWorld(seed, 4, 20);
    const before = world.database.claims;
    world.start(TRAITS);
    await pass(world, 40_000);
    world.assertEven();
    return { world, figure: world.database.claims - before };
  });
  assert.ok(most <= 5, "a fifth worker's share of 20 shards is 4");
});

const DEAF: Fault = { kind: "deaf", at: 39_000, ms: 60_000, nth: 0 };
for (const [where, faults, limitMs] of [
  ["", [], 500],
  [", without NATS within a tick or two", [DEAF], 2_500],
] as const) {
  test(`SIGTERM: everything is handed over at once${where}`, async (t) => {
    const slowest = await tell(t, "ms until all is owned again", async (seed) => {
      const world = await settledWorld(seed, 3, 9, [...faults]);
      const [leaving] = world.workers;
      assert.ok(leaving);
      const lost = leaving.keeper.shards.size;
      const before = world.database.claims;
      await leave(world, leaving);
      const figure = await timeUntil(world, () => isOwned(world));
      await pass(world, 20_000);
      world.assertEven();
      assert.equal(world.database.claims - before, lost, "more moved than was given");
      return { world, figure };
    });
    assert.ok(slowest <= limitMs);
  });
}

test("a rollout, one worker after another: each shard moves once", async (t) => {
  const shards = 12;
  const most = await tell(t, "shards moved of 12", async (seed) => {
    const world = await settledWorld(seed, 4, shards);
    const old = [...world.workers];
    const before = world.database.claims;
    for (const worker of old) {
      world.start({ ...TRAITS, generation: 2 });
      await pass(world, 4_000);
      await leave(world, worker);
      await timeUntil(world, () => isOwned(world));
    }
    await pass(world, 30_000);
    world.assertEven();
    return { world, figure: world.database.claims - before };
  });
  assert.ok(most <= 1.1 * shards);
});

test("Postgres away for 30 s: everybody keeps what is his, and goes on within seconds", async (t) => {
  const slowest = await tell(t, "ms until all is served again", async (seed) => {
    const world = await settledWorld(seed, 4, 12);
    const before = world.database.claims;
    world.database.stop();
    await pass(world, 30_000);
    assert.ok(world.workers.every(({ keeper }) => keeper.isQuiet));
    world.database.start();
    const figure = await timeUntil(world, () => world.workers.every((one) => !one.keeper.isQuiet));
    world.assertServed();
    await pass(world, 2 * LEASE.ttlMs);
    assert.equal(world.database.claims, before, "something moved");
    return { world, figure };
  });
  assert.ok(slowest <= 10_000);
});

test("stopped past its lease and woken up: it writes nothing, lets go and goes on under a new name", async (t) => {
  await tell(t, "writes tried, and refused by the fence", async (seed) => {
    const world = await settledWorld(seed, 3, 9);
    const victim = world.workers[seed % 3];
    assert.ok(victim);
    const name = victim.keeper.workerId;
    const fenced = world.database.fenced;
    victim.link.freeze();
    await pass(world, 25_000);
    assert.ok(
      isOwned(
        world,
        world.living.filter((one) => one !== victim),
      ),
    );
    victim.link.thaw();
    await pass(world, 30_000);
    assert.notEqual(victim.keeper.workerId, name);
    world.assertEven();
    return { world, figure: world.database.fenced - fenced };
  });
});
