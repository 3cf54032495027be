/**
 * The lease statements and their model in memory (src/lease-model.ts) do the same: random sequences run
 * against both, and every answer and the leases after every step are compared. `MODEL_RUNS` makes it longer.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import * as fc from "fast-check";
import {
  askDrain,
  claimShards,
  mergeShards,
  readShares,
  registerWorker,
  releaseShards,
  removeWorker,
  renewLeases,
  SHARD_SIZE,
  splitShard,
  wishShard,
} from "../src/index.ts";
import { LeaseModel } from "../src/lease-model.ts";
import { addCompany, openWorld, type World } from "./support.ts";

const RUNS = Number(process.env["MODEL_RUNS"] ?? 60);
const SHARDS = [1, 2, 3, 4].map(
  (id) => [id, (id - 1) * SHARD_SIZE + 1, id * SHARD_SIZE + 1] as const,
);
const COMPANIES = [10, 20, 63, 70, 129, 192, 200];
const WORKERS = {
  a: { host: "one", generation: 1, capacity: 1 },
  b: { host: "two", generation: 1, capacity: 3 },
  c: { host: "one", generation: 2, capacity: 2 },
};
type WorkerName = keyof typeof WORKERS;
/** Steps of time whose sums stay well away from the limits of 2 s and 10 s. */
const STEP_MS = 1_300;
const TOO_LATE_MS = 600;
const REPORT = { numbers: 0, connected: 0, opening: 0, waiting: 0 };

let world: World;
before(async () => {
  world = await openWorld();
  for (const companyNo of COMPANIES) {
    await world.superuser.query("update company_counter set last_no = $1", [companyNo - 1]);
    await addCompany(world);
  }
});
after(() => world[Symbol.asyncDispose]());

const worker = fc.constantFrom<WorkerName>("a", "b", "c");
/** The n-th shard there is, and whether the epoch named is its present one or one before. */
const shard = fc.record({ nth: fc.nat(5), behind: fc.constantFrom(0, 0, 0, 1) });
const byWhom = fc.option(worker, { nil: null });
const step = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("advance"), steps: fc.constantFrom(1, 2, 7, 9) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("register"), worker, draining: fc.boolean() }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      op: fc.constant("renew"),
      worker,
      draining: fc.constantFrom(false, false, true),
      weights: fc.array(fc.tuple(fc.nat(5), fc.integer({ min: 0, max: 9 })), { maxLength: 3 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ op: fc.constant("shares"), worker }) },
  {
    weight: 6,
    arbitrary: fc.record({
      op: fc.constant("claim"),
      worker,
      maxWeight: fc.constantFrom(0, 1, 2.5, 7, Number.POSITIVE_INFINITY),
      limit: fc.integer({ min: 0, max: 5 }),
      mayTakeExpired: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ op: fc.constant("release"), worker, shards: fc.array(shard) }),
  },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("releaseAll"), worker }) },
  { weight: 1, arbitrary: fc.record({ op: fc.constant("remove"), worker }) },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("split"),
      worker: byWhom,
      shard,
      namesEpoch: fc.boolean(),
      at: fc.integer({ min: 0, max: SHARD_SIZE }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      op: fc.constant("merge"),
      worker: byWhom,
      shard,
      namesEpoch: fc.boolean(),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      op: fc.constant("wish"),
      shard,
      wishes: fc.record(
        {
          pinnedTo: fc.constantFrom(null, "one", "two", "three"),
          paused: fc.constantFrom(true, false, false),
          splitAt: fc.option(fc.integer({ min: 0, max: 4 * SHARD_SIZE }), { nil: null }),
          mergeNext: fc.boolean(),
        },
        { requiredKeys: [] },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ op: fc.constant("askDrain"), worker, isAsked: fc.boolean() }),
  },
);
type Op<Arbitrary> = Arbitrary extends fc.Arbitrary<infer T> ? T : never;
type Step = Op<typeof step>;

/** Both sides of one sequence. */
class Pair {
  readonly model = new LeaseModel({ shards: SHARDS, companies: COMPANIES });
  #anchor = performance.now();

  /** Everything as it was in the beginning. */
  static async open(): Promise<Pair> {
    await world.superuser.query(`
      truncate shard_moves, shard_leases, workers;
      update companies set shard_id = 1;
      delete from shards where shard_id <> 1;
      update shards set lo = 1, hi = ${SHARD_SIZE} + 1;
      insert into shards (shard_id, lo, hi)
        select n, (n - 1) * ${SHARD_SIZE} + 1, n * ${SHARD_SIZE} + 1 from generate_series(2, 4) n;
      update companies c set shard_id = s.shard_id from shards s
        where s.lo <= c.company_no and c.company_no < s.hi;
      insert into shard_leases (shard_id) select shard_id from shards;
      update company_counter set last_shard = 4`);
    return new Pair();
  }

  /** Lets time pass in both; what really passed meanwhile is taken back from Postgres. */
  async advance(ms: number): Promise<void> {
    const elapsed = performance.now() - this.#anchor;
    this.#anchor = performance.now();
    const shift = `${elapsed - ms} milliseconds`;
    await world.superuser.query(
      `with leases as (update shard_leases
          set expires_at = expires_at + $1::interval, released_at = released_at + $1::interval)
        update workers set seen_at = seen_at + $1::interval, started_at = started_at + $1::interval`,
      [shift],
    );
    this.model.now += ms;
  }

  /** False: Postgres took so long that its clock and the model's may be on different sides of a limit. */
  async run(one: Step): Promise<boolean> {
    if (performance.now() - this.#anchor > 200) await this.advance(0);
    const [real, modelled] = await this.#both(one);
    if (performance.now() - this.#anchor > TOO_LATE_MS) return false;
    assert.deepEqual(real, modelled, JSON.stringify(one));
    const leases = await this.#realLeases();
    if (performance.now() - this.#anchor > TOO_LATE_MS) return false;
    assert.deepEqual(leases, this.#modelLeases(), JSON.stringify(one));
    return true;
  }

  async #both(one: Step): Promise<[unknown, unknown]> {
    const { model } = this;
    const db = world.worker;
    const held = (nth: number, behind: number) => {
      const lease = model.leases[nth];
      return { shardId: lease?.shardId ?? 99, epoch: (lease?.epoch ?? 0) - behind };
    };
    switch (one.op) {
      case "advance":
        return [await this.advance(one.steps * STEP_MS), undefined];
      case "register": {
        const input = { ...WORKERS[one.worker], workerId: one.worker, draining: one.draining };
        return [await registerWorker(db, input), model.registerWorker(input)];
      }
      case "renew": {
        const weights = new Map(one.weights.map(([nth, weight]) => [held(nth, 0).shardId, weight]));
        const options = { draining: one.draining, report: REPORT, weights };
        return [await renewLeases(db, one.worker, options), model.renewLeases(one.worker, options)];
      }
      case "shares": {
        const real = await readShares(db, one.worker);
        const modelled = model.readShares(one.worker);
        assert.ok(Math.abs(real.newestAgeMs - modelled.newestAgeMs) < 1_000);
        return [real, { ...modelled, newestAgeMs: real.newestAgeMs }];
      }
      case "claim": {
        const { maxWeight, limit, mayTakeExpired } = one;
        const options = { maxWeight, limit, mayTakeExpired };
        return [await claimShards(db, one.worker, options), model.claimShards(one.worker, options)];
      }
      case "release": {
        const shards = one.shards.map(({ nth, behind }) => held(nth, behind));
        const real = await releaseShards(db, one.worker, shards);
        return [real.toSorted((x, y) => x - y), model.releaseShards(one.worker, shards)];
      }
      case "releaseAll": {
        const real = await releaseShards(db, one.worker);
        return [real.toSorted((x, y) => x - y), model.releaseShards(one.worker)];
      }
      case "remove":
        return [await removeWorker(db, one.worker), model.removeWorker(one.worker)];
      case "split": {
        const { shardId, epoch } = held(one.shard.nth, one.shard.behind);
        const at = (model.lease(shardId)?.lo ?? 0) + one.at;
        const named = one.namesEpoch ? { epoch } : {};
        const input = { workerId: one.worker, shardId, at, ...named };
        return [
          await splitShard(one.worker === null ? world.platform : db, input),
          model.splitShard(input),
        ];
      }
      case "merge": {
        const { shardId, epoch } = held(one.shard.nth, one.shard.behind);
        const hi = model.lease(shardId)?.hi ?? 0;
        const upperEpoch = model.shardOf(hi)?.epoch ?? 0;
        const named = one.namesEpoch ? { epoch, upperEpoch } : {};
        const input = { workerId: one.worker, shardId, ...named };
        return [
          await mergeShards(one.worker === null ? world.platform : db, input),
          model.mergeShards(input),
        ];
      }
      case "wish": {
        const { shardId } = held(one.shard.nth, 0);
        return [
          await wishShard(world.platform, shardId, one.wishes),
          model.wishShard(shardId, one.wishes),
        ];
      }
      case "askDrain":
        return [
          await askDrain(world.platform, one.worker, one.isAsked),
          model.askDrain(one.worker, one.isAsked),
        ];
    }
  }

  async #realLeases(): Promise<unknown[]> {
    const { rows } = await world.superuser.query<{ lease: unknown }>(
      `select jsonb_build_array(l.shard_id, lo, hi, owner, epoch, weight, moves, pinned_to, paused, split_at,
          merge_next, expires_at < clock_timestamp(), released_at is null) as lease
        from shard_leases l join shards s on s.shard_id = l.shard_id order by l.shard_id`,
    );
    return rows.map(({ lease }) => lease);
  }

  #modelLeases(): unknown[] {
    return this.model.leases.map((lease) => [
      lease.shardId,
      lease.lo,
      lease.hi,
      lease.owner,
      lease.epoch,
      lease.weight,
      lease.moves,
      lease.pinnedTo,
      lease.paused,
      lease.splitAt,
      lease.mergeNext,
      lease.expiresAt === null ? null : lease.expiresAt < this.model.now,
      lease.releasedAt === null,
    ]);
  }
}

test("random sequences of lease statements: Postgres and the model give the same answers", async (t) => {
  const done: Record<string, number> = {};
  const sequence = fc.array(step, { minLength: 10, maxLength: 50, size: "max" });
  await fc.assert(
    fc.asyncProperty(sequence, async (steps) => {
      const pair = await Pair.open();
      for (const one of steps) {
        if (!(await pair.run(one))) return;
        done[one.op] = (done[one.op] ?? 0) + 1;
      }
    }),
    { numRuns: RUNS },
  );
  t.diagnostic(`${RUNS} sequences: ${JSON.stringify(done)}`);
  assert.ok(Object.keys(done).length === 12, "some statement never ran");
});
