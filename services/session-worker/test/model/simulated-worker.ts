/**
 * A worker in the simulated world: the real LeaseKeeper, with a fleet that opens, writes, sends and closes as
 * the real one does, all of it over a link that may fail and a clock that may run differently.
 */
import type { ShardWish } from "@manyline/db";
import { createSilentLogger, type Bus, type Clock } from "@manyline/runtime";
import { LEASE, LeaseKeeper, type LeaseFigures } from "../../src/ownership/lease-keeper.ts";
import { SerialQueue } from "../../src/numbers/serial-queue.ts";
import type { LeaseStore } from "../../src/ownership/lease-store.ts";
import type { SimulatedDatabase } from "./simulated-database.ts";
import { Link, type Simulation } from "./simulation.ts";

const logger = createSilentLogger();
/** Fewer looks at the deadline: whether a worker is quiet does not wait for them. */
const FIGURES: LeaseFigures = { ...LEASE, checkMs: 500 };

export type WorkerTraits = {
  name: string;
  generation: number;
  capacity: number;
  /** How fast its clock runs, compared with Postgres'. */
  rate: number;
};

/** What is wrong with a worker, on purpose. */
export type WorkerWeakness =
  | "none"
  /** Its deadline lies at the end of the lease. */
  | "no margin"
  /** It takes expired leases at once, whatever happened to its own renewals. */
  | "hasty";

/** What a worker touches outside itself. */
export type Surroundings = {
  simulation: Simulation;
  database: SimulatedDatabase;
  bus: Pick<Bus, "poke" | "subscribe">;
  weakness: WorkerWeakness;
  closeAfterMs: number;
  /** It has just sent something, or could from now on. */
  onMaySend: (worker: SimulatedWorker, companyNo: number) => void;
};

type OpenNumber = { companyNo: number; shardId: number; epoch: number; isOpen: boolean };

export class SimulatedWorker {
  readonly link: Link;
  readonly keeper: LeaseKeeper;
  readonly traits: WorkerTraits;
  readonly #around: Surroundings;
  readonly #clock: Clock;
  readonly #numbers = new Map<number, OpenNumber>();
  /** Shards on their way out. */
  readonly #leaving = new Set<number>();
  readonly #queue = new SerialQueue();
  /** The last task of each shard. */
  readonly #turns = new Map<number, Promise<void>>();
  #names = 0;
  isLeaving = false;

  constructor(around: Surroundings, traits: WorkerTraits) {
    this.#around = around;
    this.traits = traits;
    this.link = new Link(around.simulation);
    this.#clock = this.#makeClock();
    this.keeper = new LeaseKeeper({
      store: this.#makeStore(),
      bus: {
        poke: (subject) => around.bus.poke(subject),
        subscribe: (subject, handler) =>
          around.bus.subscribe(subject, (message) =>
            this.link.deliver(() => void handler(message)),
          ),
      },
      clock: this.#clock,
      logger,
      newWorkerId: () => `${traits.name}.${(this.#names += 1)}`,
      figures: {
        ...FIGURES,
        closeAfterMs: around.closeAfterMs,
        ...(around.weakness === "no margin" && { marginMs: 0 }),
      },
      report: () => ({ numbers: this.#numbers.size, connected: 0, opening: 0, waiting: 0 }),
      weights: () => this.#weights(),
      events: {
        onClaimed: (shardId, epoch) => this.#claimed(shardId, epoch),
        onLost: (shardId) => this.#drop((number) => number.shardId === shardId),
        onQuiet: () => undefined,
        onSilence: () => this.#drop(() => true),
        onSurplus: (shardIds) => this.#each(shardIds, (shardId) => this.#give(shardId)),
        onWish: (shardId, wish) => this.#each([shardId], () => this.#fulfil(shardId, wish)),
        onDrainAsked: () => this.#each(this.keeper.shards.keys(), (shardId) => this.#give(shardId)),
        onDrainOver: () => undefined,
      },
    });
    this.keeper.start();
  }

  /** It is up and believes that it may send for the number. */
  maySend(companyNo: number): boolean {
    const isUp = !this.link.isDead && !this.link.isFrozen;
    return isUp && this.serves(companyNo) && !this.keeper.isQuiet;
  }
  serves(companyNo: number): boolean {
    return this.#numbers.get(companyNo)?.isOpen ?? false;
  }

  /** kill -9. */
  kill(): void {
    this.link.die();
  }

  /** SIGTERM: hands everything over and ends. */
  async leave(): Promise<void> {
    this.isLeaving = true;
    await this.keeper.drain().catch(() => undefined);
    await this.#giveAll();
    await this.keeper.stop().catch(() => undefined);
    this.link.die();
  }

  #claimed(shardId: number, epoch: number): void {
    this.#leaving.delete(shardId);
    this.#adopt(shardId, epoch);
  }

  /** After a split: what was read before it must be done with before the shard is open to new numbers again. */
  #reopen(shardId: number, epoch: number): void {
    void this.#queue.add(() => this.#leaving.delete(shardId));
    this.#adopt(shardId, epoch);
  }

  /** Fences first, then what is to be served; again until it is done or lost. */
  #adopt(shardId: number, epoch: number): void {
    const { database } = this.#around;
    const isMine = (): boolean =>
      this.keeper.shards.get(shardId) === epoch && !this.#leaving.has(shardId);
    const task = async (): Promise<void> => {
      if (!isMine()) return;
      await database.raiseFences(this.link, shardId, epoch);
      const listed = await database.listNumbers(this.link, this.keeper.workerId, shardId);
      for (const there of listed) {
        if (!isMine() || there.epoch !== epoch) continue;
        const known = this.#numbers.get(there.companyNo);
        if (known?.epoch !== epoch) void this.#open({ ...there, shardId, isOpen: false });
      }
    };
    this.#queue.add(task).catch(async () => {
      await this.#clock.sleep(1_000);
      this.#adopt(shardId, epoch);
    });
  }

  /** Reads the number's credentials under its fence, and serves it from then on. */
  async #open(number: OpenNumber): Promise<void> {
    const { database, onMaySend } = this.#around;
    const { companyNo, epoch } = number;
    this.#numbers.set(companyNo, number);
    const isStill = (): boolean => this.#numbers.get(companyNo) === number;
    while (isStill() && !number.isOpen) {
      try {
        const isRead = await database.read(this.link, companyNo, epoch);
        if (!isStill()) return;
        if (!isRead) return this.#fenced(number);
        number.isOpen = true;
      } catch {
        await this.#clock.sleep(1_000);
      }
    }
    onMaySend(this, companyNo);
    await this.#serve(number);
  }

  /** Writes and sends now and then. */
  async #serve(number: OpenNumber): Promise<void> {
    const { simulation, database, onMaySend } = this.#around;
    for (;;) {
      await this.#clock.sleep(simulation.between(500, 6_000));
      if (this.#numbers.get(number.companyNo) !== number) return;
      if (this.keeper.isQuiet) continue;
      onMaySend(this, number.companyNo);
      const result = await database
        .write(this.link, number.companyNo, number.epoch)
        .catch(() => "unknown" as const);
      if (result === "fenced") return this.#fenced(number);
    }
  }

  #fenced(number: OpenNumber): void {
    if (this.#numbers.get(number.companyNo) === number) this.#numbers.delete(number.companyNo);
    this.keeper.ask();
  }

  #drop(which: (number: OpenNumber) => boolean): void {
    for (const number of this.#numbers.values()) {
      if (which(number)) this.#numbers.delete(number.companyNo);
    }
  }

  /** Closing takes a while; nothing new is opened meanwhile. */
  async #close(shardId: number, from = 0): Promise<void> {
    this.#leaving.add(shardId);
    await this.#queue.idle();
    await this.#clock.sleep(this.#around.simulation.between(0, 200));
    this.#drop((number) => number.shardId === shardId && number.companyNo >= from);
  }

  /** Giving away and reshaping of the same shard must not meet: one after another. */
  async #inTurn(shardIds: readonly number[], task: () => Promise<void>): Promise<void> {
    const before = shardIds.map((shardId) => this.#turns.get(shardId) ?? Promise.resolve());
    const run = Promise.allSettled(before).then(task);
    for (const shardId of shardIds) this.#turns.set(shardId, run);
    await run;
  }

  #give(shardId: number): Promise<void> {
    return this.#inTurn([shardId], async () => {
      if (!this.keeper.shards.has(shardId)) return;
      await this.#close(shardId);
      await this.keeper.release([shardId]);
    });
  }

  #fulfil(shardId: number, wish: ShardWish): Promise<void> {
    if (wish.kind === "release") return this.#give(shardId);
    if (wish.kind === "split") return this.#inTurn([shardId], () => this.#split(shardId, wish.at));
    return this.#inTurn([shardId, wish.upper], () => this.#merge(shardId, wish.upper));
  }

  async #split(shardId: number, at: number): Promise<void> {
    const { database } = this.#around;
    const { workerId, shards } = this.keeper;
    const epoch = shards.get(shardId);
    if (epoch === undefined) return;
    await this.#close(shardId, at);
    try {
      await this.#ask(() => database.split({ workerId, shardId, epoch, at }));
      this.#reopen(shardId, epoch);
    } catch {
      // Nobody knows what became of it: everything is closed and given back.
      await this.#close(shardId);
      await this.keeper.release([shardId]);
    }
  }

  async #merge(shardId: number, upper: number): Promise<void> {
    const { database } = this.#around;
    const { workerId, shards } = this.keeper;
    const epoch = shards.get(shardId);
    const upperEpoch = shards.get(upper);
    if (epoch === undefined || upperEpoch === undefined) return;
    await Promise.all([this.#close(shardId), this.#close(upper)]);
    this.keeper.forget([shardId, upper]);
    await this.#ask(() => database.merge({ workerId, shardId, epoch, upperEpoch }));
  }

  /** One after another, what there is now. */
  async #giveAll(): Promise<void> {
    const mine = [...this.keeper.shards.keys()];
    for (const shardId of mine) await this.#give(shardId).catch(() => undefined);
  }

  /** Its own doings fail when Postgres does; what is left over is repaired by the next renewal. */
  #each(shardIds: Iterable<number>, task: (shardId: number) => Promise<void>): void {
    for (const shardId of shardIds) task(shardId).catch(() => undefined);
  }

  #weights(): Map<number, number> {
    const weights = new Map([...this.keeper.shards.keys()].map((shardId) => [shardId, 1]));
    for (const { shardId } of this.#numbers.values()) {
      const weight = weights.get(shardId);
      if (weight !== undefined) weights.set(shardId, weight + 1);
    }
    return weights;
  }

  #makeStore(): LeaseStore {
    const { database, weakness } = this.#around;
    const { leases } = database;
    const { name: host, generation, capacity } = this.traits;
    return {
      register: (workerId, draining) =>
        this.#ask(() => leases.registerWorker({ workerId, host, generation, capacity, draining })),
      renew: (workerId, input) => this.#ask(() => leases.renewLeases(workerId, input)),
      shares: (workerId) => this.#ask(() => leases.readShares(workerId)),
      claim: (workerId, input) => {
        const mayTakeExpired = input.mayTakeExpired || weakness === "hasty";
        return this.#ask(() => database.claim(workerId, { ...input, mayTakeExpired }));
      },
      release: (workerId, shards) => this.#ask(() => leases.releaseShards(workerId, shards)),
      remove: (workerId) => this.#ask(() => leases.removeWorker(workerId)),
    };
  }

  #ask<T>(run: () => T): Promise<T> {
    return this.#around.database.ask(this.link, run);
  }

  #makeClock(): Clock {
    const { simulation } = this.#around;
    const { rate } = this.traits;
    const setTimer = (ms: number, fn: () => void): (() => void) => {
      let isCancelled = false;
      const fire = (): void => {
        if (!isCancelled) fn();
      };
      const isQuick = ms === FIGURES.checkMs;
      const cancel = simulation.after(ms / rate, () => this.link.deliver(fire), isQuick);
      return () => {
        isCancelled = true;
        cancel();
      };
    };
    return {
      timeScale: 1,
      now: () => new Date(simulation.now),
      monotonic: () => simulation.now * rate,
      scaled: (ms) => ms,
      setTimer,
      sleep: (ms) => new Promise((resolve) => void setTimer(ms, resolve)),
    };
  }
}
