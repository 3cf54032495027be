/** Workers, their database, a bus, and everything that goes wrong around them, on one simulated clock. */
import assert from "node:assert/strict";
import type { Bus } from "@manyline/runtime";
import { LEASE } from "../../src/ownership/lease-keeper.ts";
import { type FenceCheck, SimulatedDatabase } from "./simulated-database.ts";
import { SimulatedWorker, type WorkerWeakness } from "./simulated-worker.ts";
import { type LinkState, Simulation } from "./simulation.ts";

/** Companies of a shard; the first half of the range belongs to the lower part of a split. */
const WIDTH = 8;
export const FAULTS = [
  "freeze",
  "slow",
  "broken",
  "kill",
  "leave",
  "join",
  "outage",
  "deaf",
  "drain",
  "split",
  "merge",
  "pause",
  "pin",
] as const;

export type Fault = {
  kind: (typeof FAULTS)[number];
  /** Milliseconds from the start, and how long it lasts. */
  at: number;
  ms: number;
  /** Which worker or shard, counted round. */
  nth: number;
};

export type Scenario = {
  seed: number;
  workers: { capacity: number; generation: number; rate: number }[];
  /** How many numbers each shard has. */
  shards: number[];
  faults: Fault[];
  /** Of the lease figures; a short world wants less than life. */
  closeAfterMs?: number;
};

export class SimulatedWorld {
  readonly simulation: Simulation;
  readonly database: SimulatedDatabase;
  readonly broken: string[];
  /** When Postgres was away. */
  readonly outages: { from: number; to: number }[] = [];
  workers: SimulatedWorker[] = [];
  #started = 0;
  readonly #bus: Pick<Bus, "poke" | "subscribe">;
  readonly #listeners = new Set<() => void>();
  readonly #weakness: WorkerWeakness;
  readonly #closeAfterMs: number;
  #isDeaf = false;
  /** What ends the faults that go on. */
  readonly #undos = new Set<() => void>();
  /** Told to drain by an operator, for good. */
  readonly #drained = new Set<SimulatedWorker>();

  constructor(scenario: Scenario, weakness: WorkerWeakness | "exists" = "none") {
    this.#closeAfterMs = scenario.closeAfterMs ?? LEASE.closeAfterMs;
    this.#weakness = weakness === "exists" ? "none" : weakness;
    const check: FenceCheck = weakness === "exists" ? "exists" : "for share";
    this.simulation = new Simulation(scenario.seed);
    const shards = scenario.shards.map(
      (_, index) => [index + 1, index * WIDTH + 1, (index + 1) * WIDTH + 1] as const,
    );
    // From both ends of the range, so that a split has something on either side.
    const companies = scenario.shards.flatMap((count, index) =>
      Array.from({ length: count }, (_, nth) =>
        nth % 2 === 0 ? index * WIDTH + 1 + nth / 2 : (index + 1) * WIDTH - (nth - 1) / 2,
      ),
    );
    this.database = new SimulatedDatabase(this.simulation, { shards, companies, check });
    this.broken = this.database.broken;
    this.#bus = this.#makeBus();
    for (const traits of scenario.workers) this.start(traits);
    for (const fault of scenario.faults) {
      this.simulation.after(fault.at, () => this.#strike(fault));
    }
  }

  /** Everything that was broken works again; who is gone stays gone, but somebody is there. */
  heal(): void {
    for (const undo of this.#undos) undo();
    const { leases } = this.database;
    // Of every shard: one that was split off took the pause and the pin of its origin with it.
    const noWish = { splitAt: null, mergeNext: false, paused: false, pinnedTo: null };
    for (const { shardId } of leases.leases) leases.wishShard(shardId, noWish);
    const isWilling = this.living.some((worker) => !this.#drained.has(worker));
    if (!isWilling) this.start({ capacity: 1, generation: 1, rate: 1 });
  }

  /** Those that are up and not about to end. */
  get living(): SimulatedWorker[] {
    this.#prune();
    return this.workers.filter(({ isLeaving }) => !isLeaving);
  }

  /** Every shard that may be owned is, by somebody who is up and has its numbers open. */
  assertServed(): void {
    const { leases } = this.database;
    const takers = this.living.filter(({ keeper }) => !keeper.isDraining);
    for (const { shardId, owner, epoch } of leases.leases) {
      const worker = takers.find(({ keeper }) => keeper.workerId === owner);
      const epochThere = worker?.keeper.shards.get(shardId);
      assert.equal(epochThere, epoch, `shard ${shardId} of ${owner} in epoch ${epoch}`);
    }
    for (const companyNo of this.database.companies) {
      const count = takers.filter((worker) => worker.maySend(companyNo)).length;
      assert.equal(count, 1, `number ${companyNo} is served by ${count}`);
    }
  }

  /** Nobody has a shard too many while somebody else has too little; who drains has nothing. */
  assertEven(): void {
    this.assertServed();
    const { leases } = this.database;
    if (new Set(this.living.map(({ traits }) => traits.generation)).size > 1) return;
    for (const { keeper } of this.living.filter((one) => !one.keeper.isDraining)) {
      const shares = leases.readShares(keeper.workerId);
      const mine = leases.leases.filter(({ owner }) => owner === keeper.workerId);
      const heaviest = Math.max(...mine.map(({ weight }) => weight));
      const fair = (shares.totalWeight * shares.myCapacity) / shares.liveCapacity;
      const isFair = shares.myWeight < fair + heaviest || !shares.hasTaker || mine.length < 2;
      assert.ok(isFair, `${keeper.workerId} has ${shares.myWeight}, its share is ${fair}`);
    }
  }

  #prune(): void {
    this.workers = this.workers.filter(({ link }) => !link.isDead);
  }

  start(traits: Scenario["workers"][number]): SimulatedWorker {
    this.#started += 1;
    const around = {
      simulation: this.simulation,
      database: this.database,
      bus: this.#bus,
      weakness: this.#weakness,
      closeAfterMs: this.#closeAfterMs,
      onMaySend: (worker: SimulatedWorker, companyNo: number) => this.#judge(worker, companyNo),
    };
    const worker = new SimulatedWorker(around, { ...traits, name: `w${this.#started}` });
    this.workers.push(worker);
    return worker;
  }

  #judge(worker: SimulatedWorker, companyNo: number): void {
    if (!worker.maySend(companyNo)) return;
    const other = this.workers.find((one) => one !== worker && one.maySend(companyNo));
    if (!other) return;
    const names = `${worker.traits.name} and ${other.traits.name}`;
    this.broken.push(
      `at ${Math.round(this.simulation.now)} ms ${names} may both send for number ${companyNo}`,
    );
  }

  #strike({ kind, ms, nth }: Fault): void {
    const { simulation } = this;
    const { leases } = this.database;
    this.#prune();
    const worker = this.workers[nth % Math.max(1, this.workers.length)];
    const all = leases.leases;
    const shard = all[nth % all.length];
    const link = worker?.link;
    const until = (undo: () => void): void => {
      const once = (): void => {
        if (this.#undos.delete(once)) undo();
      };
      this.#undos.add(once);
      simulation.after(ms, once);
    };
    const setLink = (state: LinkState): void => {
      if (!link) return;
      link.state = state;
      until(() => {
        link.state = "fine";
      });
    };
    switch (kind) {
      case "freeze":
        link?.freeze();
        return until(() => link?.thaw());
      case "slow":
      case "broken":
        return setLink(kind);
      case "kill":
        if (!worker) return;
        worker.kill();
        return until(() => this.start(worker.traits));
      case "leave":
        if (worker && !worker.isLeaving) void worker.leave();
        return;
      case "join":
        if (this.workers.length < 6)
          this.start({ capacity: 1 + (nth % 3), generation: 1, rate: 1 });
        return;
      case "outage":
        if (this.database.isDown) return;
        this.database.stop();
        this.outages.push({ from: simulation.now, to: Number.POSITIVE_INFINITY });
        return until(() => this.#endOutage());
      case "deaf":
        this.#isDeaf = true;
        return until(() => {
          this.#isDeaf = false;
        });
      case "drain": {
        if (!worker) return;
        const isAsked = leases.askDrain(worker.keeper.workerId, true);
        if (nth % 2 === 0 && isAsked) this.#drained.add(worker);
        else until(() => leases.askDrain(worker.keeper.workerId, false));
        return;
      }
      case "split":
        if (shard) leases.wishShard(shard.shardId, { splitAt: shard.lo + WIDTH / 2 });
        return;
      case "merge":
        if (shard) leases.wishShard(shard.shardId, { mergeNext: true });
        return;
      case "pause":
        if (!shard) return;
        leases.wishShard(shard.shardId, { paused: true });
        return until(() => leases.wishShard(shard.shardId, { paused: false }));
      case "pin":
        if (!shard || !worker) return;
        leases.wishShard(shard.shardId, { pinnedTo: worker.traits.name });
        return until(() => leases.wishShard(shard.shardId, { pinnedTo: null }));
    }
  }

  #endOutage(): void {
    if (!this.database.isDown) return;
    this.database.start();
    const last = this.outages.at(-1);
    if (last) last.to = this.simulation.now;
  }

  #makeBus(): Pick<Bus, "poke" | "subscribe"> {
    return {
      poke: () => {
        if (this.#isDeaf) return;
        for (const listener of this.#listeners) {
          this.simulation.after(this.simulation.between(0.2, 20), listener);
        }
      },
      subscribe: (subject, handler) => {
        const message = {
          subject,
          data: new Uint8Array(),
          header: () => undefined,
          respond: () => undefined,
        };
        const listener = (): void => void handler(message);
        this.#listeners.add(listener);
        const close = async (): Promise<void> => void this.#listeners.delete(listener);
        return { close, [Symbol.asyncDispose]: close };
      },
    };
  }
}
