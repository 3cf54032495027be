/**
 * The real LeaseKeeper in random worlds: several workers with clocks of their own, a network that delays and
 * loses, pauses, kills, outages, operators. `MODEL_RUNS` says how many worlds.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as fc from "fast-check";
import { LEASE } from "../../src/ownership/lease-keeper.ts";
import { FAULTS, type Scenario, SimulatedWorld } from "./simulated-world.ts";

const RUNS = Number(process.env["MODEL_RUNS"] ?? 1_000);
/** Faults come in the first minute and are all mended then. */
const FAULTS_MS = 60_000;
/** A lease runs out, and whoever takes it has renewed without a gap for as long; and some seconds of work. */
const OWNED_AFTER_MS = 2 * LEASE.ttlMs + 5_000;
/** Shares are even: one shard at a time is given away. */
const EVEN_AFTER_MS = 50_000;
/** Then nothing moves. */
const STILL_MS = 20_000;

/** The fastest of the clocks. */
const FASTEST = 1.1;
const LEASE_END_MS = LEASE.ttlMs / FASTEST;

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  workers: fc.array(
    fc.record({
      capacity: fc.integer({ min: 1, max: 3 }),
      generation: fc.constantFrom(1, 1, 1, 1, 2),
      rate: fc.constantFrom(1, 1, 0.9, FASTEST),
    }),
    { minLength: 1, maxLength: 4 },
  ),
  shards: fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 1, maxLength: 6 }),
  faults: fc.array(
    fc.record({
      kind: fc.constantFrom(...FAULTS),
      at: fc.nat(FAULTS_MS - 1),
      ms: fc.constantFrom(200, 2_000, 8_000, 15_000, 30_000),
      nth: fc.nat(11),
    }),
    { minLength: 2, maxLength: 12, size: "max" },
  ),
});

type Story = { moves: number; writes: number; fenced: number; takeovers: number };

/** Lives through a world and asserts everything that is promised. */
async function live(one: Scenario): Promise<Story> {
  const world = new SimulatedWorld(one);
  const { simulation, database } = world;
  const isSafe = (): void => assert.deepEqual(world.broken, []);
  await simulation.runUntil(FAULTS_MS);
  isSafe();
  world.heal();
  const before = database.claims;
  await simulation.runUntil(FAULTS_MS + OWNED_AFTER_MS);
  isSafe();
  world.assertServed();
  await simulation.runUntil(FAULTS_MS + EVEN_AFTER_MS);
  const moves = database.claims - before;
  world.assertEven();
  await simulation.runUntil(FAULTS_MS + EVEN_AFTER_MS + STILL_MS);
  isSafe();
  assert.equal(database.claims - before, moves, "shards moved although nothing changed");
  assert.ok(
    moves <= 3 * database.leases.leases.length,
    `${moves} moves after everything was mended`,
  );
  for (const { from, to } of world.outages) {
    if (to - from < LEASE_END_MS) continue;
    const hasty = database.takeovers.filter(({ at }) => at >= from && at < to + LEASE_END_MS);
    assert.deepEqual(hasty, [], `taken over right after the outage that ended at ${to}`);
  }
  const { writes, fenced, takeovers } = database;
  return { moves, writes, fenced, takeovers: takeovers.length };
}

test("whatever happens: no accepted stale write, one sender at most, and everything is owned and even again", async (t) => {
  const started = performance.now();
  const sum = { moves: 0, writes: 0, fenced: 0, takeovers: 0 };
  await fc.assert(
    fc.asyncProperty(scenario, async (one) => {
      const story = await live(one);
      for (const key of Object.keys(sum) as (keyof Story)[]) sum[key] += story[key];
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(
    `${RUNS} worlds in ${Math.round(performance.now() - started)} ms: ${JSON.stringify(sum)}`,
  );
});

test("the same worlds with the fence weakened to exists(...) have an accepted stale write", async (t) => {
  const outcome = await fc.check(
    fc.asyncProperty(scenario, async (one) => {
      const world = new SimulatedWorld(one, "exists");
      await world.simulation.runUntil(FAULTS_MS);
      assert.deepEqual(world.broken, []);
    }),
    { numRuns: 10 * RUNS, endOnFailure: true },
  );
  t.diagnostic(`found in world ${outcome.numRuns}: ${String(outcome.errorInstance)}`);
  assert.ok(outcome.failed, "nobody noticed");
});
