/**
 * Random worlds for the real LeaseKeeper: several workers with clocks of their own, a network that delays and
 * loses, pauses, kills, outages, operators. Runs as a thread: the hooks of the test runner would make every
 * promise four times as slow.
 */
import assert from "node:assert/strict";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import * as fc from "fast-check";
import { LEASE } from "../../src/ownership/lease-keeper.ts";
import { FAULTS, type Scenario, SimulatedWorld } from "./simulated-world.ts";
import { LATEST_MS } from "./simulation.ts";

/** Faults come in the first minute and are all mended then. */
const FAULTS_MS = 60_000;
/**
 * A renewal of somebody who is dead by now may run late. Then a lease runs out, and whoever takes it has renewed
 * without a gap for as long; and some seconds of work.
 */
const OWNED_AFTER_MS = LATEST_MS + 2 * LEASE.ttlMs + 5_000;
/** Shares are even: one shard at a time is given away. */
const EVEN_AFTER_MS = OWNED_AFTER_MS + 20_000;
/** Then nothing moves. */
const STILL_MS = 15_000;
/** How often a shard may move after everything was mended. */
const MOST_MOVES = 3;
/** The clocks of workers, compared with Postgres'. */
const RATES = { slowest: 0.9, fastest: 1.1 };

const scenario: fc.Arbitrary<Scenario> = fc.record({
  seed: fc.nat(),
  workers: fc.array(
    fc.record({
      capacity: fc.integer({ min: 1, max: 3 }),
      generation: fc.constantFrom(1, 1, 1, 1, 2),
      rate: fc.constantFrom(1, 1, RATES.slowest, RATES.fastest),
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
  closeAfterMs: fc.constantFrom(15_000, LEASE.closeAfterMs),
});

/** As fast-check reports them: `MODEL_SEED=… MODEL_PATH=…` repeat a failure. */
const { MODEL_SEED: seed, MODEL_PATH: path } = process.env;
const REPEAT = { ...(seed && { seed: Number(seed) }), ...(path && { path }) };

export type Story = {
  claims: number;
  takeovers: number;
  /** Claims after everything was mended. */
  moves: number;
  splits: number;
  merges: number;
  writes: number;
  fenced: number;
  /** Times at which a worker went on under a new name. */
  renamed: number;
};

/** Lives through a world and asserts what is promised: everything, or only what must never happen. */
async function live(world: SimulatedWorld, promises: "all" | "safety"): Promise<Story> {
  const { simulation, database } = world;
  const isSafe = (): void => assert.deepEqual(world.broken, []);
  await simulation.runUntil(FAULTS_MS);
  isSafe();
  world.heal();
  const before = database.claims;
  await simulation.runUntil(FAULTS_MS + OWNED_AFTER_MS);
  isSafe();
  if (promises === "all") world.assertServed();
  await simulation.runUntil(FAULTS_MS + EVEN_AFTER_MS);
  const moves = database.claims - before;
  if (promises === "all") world.assertEven();
  await simulation.runUntil(FAULTS_MS + EVEN_AFTER_MS + STILL_MS);
  isSafe();
  if (promises === "all") {
    assert.equal(database.claims - before, moves, "shards moved although nothing changed");
    const most = MOST_MOVES * database.leases.leases.length;
    assert.ok(moves <= most, `${moves} moves after everything was mended, ${most} are enough`);
  }
  assertPatience(world);
  const { claims, splits, merges, writes, fenced, takeovers } = database;
  const renamed = world.workers.filter(({ keeper }) => !keeper.workerId.endsWith(".1")).length;
  return { claims, takeovers: takeovers.length, moves, splits, merges, writes, fenced, renamed };
}

/** After an outage of Postgres longer than a lease, everybody first renews what is his own. */
function assertPatience({ outages, database }: SimulatedWorld): void {
  const patienceMs = LEASE.ttlMs / RATES.fastest;
  for (const { from, to } of outages) {
    if (to - from < LEASE.ttlMs) continue;
    const hasty = database.takeovers.filter(({ at }) => at >= from && at < to + patienceMs);
    assert.deepEqual(hasty, [], `taken over right after the outage that ended at ${to}`);
  }
}

/** `rules`: as they are; else the one that is broken. */
export type Task = { kind: "rules" | "exists" | "no margin" | "hasty"; runs: number };
export type Result = {
  failed: boolean;
  /** Worlds lived through. */
  worlds: number;
  /** What fast-check says about a failure: the seed, the path, and the smallest world that fails. */
  report: string;
  ms: number;
  story: Story;
};

/** Lives through random worlds, in a thread. */
export async function runSchedules(task: Task): Promise<Result> {
  const thread = new Worker(new URL(import.meta.url), { workerData: task });
  try {
    return await new Promise((resolve, reject) => {
      thread.once("message", resolve);
      thread.once("error", reject);
      thread.once("exit", () => reject(new Error("the thread ended without a result")));
    });
  } finally {
    await thread.terminate();
  }
}

async function run({ kind, runs }: Task): Promise<Result> {
  const story: Story = {
    claims: 0,
    takeovers: 0,
    moves: 0,
    splits: 0,
    merges: 0,
    writes: 0,
    fenced: 0,
    renamed: 0,
  };
  const startedAt = performance.now();
  const property = fc.asyncProperty(scenario, async (one) => {
    // A broken rule may show first as a shard without an owner: it is to be found by the harm it does.
    const chapter = await (kind === "rules"
      ? live(new SimulatedWorld(one, "none"), "all")
      : live(new SimulatedWorld(one, kind), "safety"));
    for (const name of Object.keys(story) as (keyof Story)[]) story[name] += chapter[name];
  });
  const outcome = await fc.check(property, {
    numRuns: runs,
    // The first failure of broken rules is enough; of the rules themselves the smallest is wanted.
    endOnFailure: kind !== "rules",
    ...REPEAT,
  });
  return {
    failed: outcome.failed,
    worlds: outcome.numRuns,
    report: outcome.failed
      ? `${fc.defaultReportMessage(outcome)}\n${String(outcome.errorInstance)}`
      : "",
    ms: Math.round(performance.now() - startedAt),
    story,
  };
}

if (!isMainThread && parentPort) {
  // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread, not a window
  parentPort.postMessage(await run(workerData as Task));
}
