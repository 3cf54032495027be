/**
 * Postgres in the simulated world: the leases (the model that packages/db compares with the real
 * statements), and of each number the row of its fence and who wrote and read its credentials. It notes
 * every broken promise.
 */
import { LeaseModel } from "@manyline/db/lease-model";
import type { Link, Simulation } from "./simulation.ts";

/** How a write asks for its epoch; see fence-model.ts. */
export type FenceCheck = "for share" | "exists";

/** A client gives a statement up after this time. */
const GIVES_UP_MS = 4_000;
/** Postgres ends a worker's transaction that is idle for so long. */
const IDLE_IN_TRANSACTION_MS = 5_000;

/** A commit on a disk that is busy. */
const SLOW_COMMIT_MS = 3_000;

type NumberRow = {
  companyNo: number;
  /** The fence. */
  epoch: number;
  /** Transactions that hold it FOR SHARE. */
  sharers: number;
  /** Raises that wait for them. */
  waiting: (() => void)[];
  /** The highest epoch under which the credentials were read, and that of the last accepted write. */
  readEpoch: number;
  wroteEpoch: number;
};
type Pending = { fail: () => void; isOver: boolean };
type Transaction = { row: NumberRow; epoch: number; isOver: boolean };
export type WriteResult = "written" | "fenced" | "aborted";
export type ListedNumber = { companyNo: number; epoch: number };

export class SimulatedDatabase {
  readonly leases: LeaseModel;
  readonly broken: string[] = [];
  /** Takeovers of expired leases, and every claim. */
  takeovers: { at: number; shardId: number; workerId: string }[] = [];
  claims = 0;
  splits = 0;
  merges = 0;
  writes = 0;
  fenced = 0;
  readonly #simulation: Simulation;
  readonly #check: FenceCheck;
  readonly #numbers = new Map<number, NumberRow>();
  readonly #pending = new Set<Pending>();
  readonly #transactions = new Set<Transaction>();
  #isDown = false;

  constructor(
    simulation: Simulation,
    options: {
      shards: readonly (readonly [number, number, number])[];
      companies: readonly number[];
      check: FenceCheck;
    },
  ) {
    this.#simulation = simulation;
    this.#check = options.check;
    this.leases = new LeaseModel(options);
    for (const companyNo of options.companies) {
      const row = { companyNo, epoch: 0, sharers: 0, waiting: [], readEpoch: 0, wroteEpoch: 0 };
      this.#numbers.set(companyNo, row);
    }
  }

  get isDown(): boolean {
    return this.#isDown;
  }
  get companies(): number[] {
    return [...this.#numbers.keys()];
  }

  /** Every connection breaks, every open transaction is gone. */
  stop(): void {
    this.#isDown = true;
    for (const pending of this.#pending) pending.fail();
    this.#pending.clear();
    for (const transaction of this.#transactions) this.#end(transaction);
  }
  start(): void {
    this.#isDown = false;
  }

  /** One statement, which answers by `answer`. Rejects when nobody answers or Postgres is not there. */
  send<T>(link: Link, run: (answer: (value: T) => void) => void): Promise<T> {
    const simulation = this.#simulation;
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const fail = (why: string): void => link.deliver(() => reject(new Error(why)));
    const cancel = simulation.after(GIVES_UP_MS, () => fail("no answer"));
    if (this.#isDown) {
      simulation.after(2, () => fail("Postgres is not there"));
      return promise;
    }
    const { runsAfterMs, answersAfterMs } = link.fate();
    if (runsAfterMs === undefined) return promise;
    const pending: Pending = {
      isOver: false,
      fail: () => {
        pending.isOver = true;
        simulation.after(2, () => fail("the connection broke"));
      },
    };
    this.#pending.add(pending);
    simulation.after(runsAfterMs, () => {
      if (pending.isOver) return;
      this.leases.now = simulation.now;
      run((value) => {
        if (pending.isOver) return;
        pending.isOver = true;
        this.#pending.delete(pending);
        if (answersAfterMs === undefined) return;
        simulation.after(answersAfterMs, () =>
          link.deliver(() => {
            cancel();
            resolve(value);
          }),
        );
      });
    });
    return promise;
  }

  /** The same for what answers at once. */
  ask<T>(link: Link, run: () => T): Promise<T> {
    return this.send<T>(link, (answer) => answer(run()));
  }

  claim(
    workerId: string,
    options: { maxWeight: number; limit: number; mayTakeExpired: boolean },
  ): { shardId: number; epoch: number }[] {
    const owners = new Map(this.leases.leases.map(({ shardId, owner }) => [shardId, owner]));
    const claimed = this.leases.claimShards(workerId, options);
    this.claims += claimed.length;
    for (const { shardId } of claimed) {
      if (owners.get(shardId) === null) continue;
      this.takeovers.push({ at: this.#simulation.now, shardId, workerId });
    }
    return claimed;
  }

  split(input: Parameters<LeaseModel["splitShard"]>[0]): void {
    if (this.leases.splitShard(input) !== undefined) this.splits += 1;
  }

  merge(input: Parameters<LeaseModel["mergeShards"]>[0]): void {
    if (this.leases.mergeShards(input) !== undefined) this.merges += 1;
  }

  /** Raises the fences of all numbers in the shard; waits for the writers of each. */
  raiseFences(link: Link, shardId: number, epoch: number): Promise<void> {
    return this.send<void>(link, (answer) => {
      const lease = this.leases.lease(shardId);
      const rows = [...this.#numbers.values()].filter(
        ({ companyNo }) => lease && lease.lo <= companyNo && companyNo < lease.hi,
      );
      let left = 1;
      const done = (): void => {
        left -= 1;
        if (left === 0) answer();
      };
      for (const row of rows) {
        left += 1;
        const raise = (): void => {
          row.epoch = Math.max(row.epoch, epoch);
          done();
        };
        if (row.sharers === 0 || row.epoch >= epoch) raise();
        else row.waiting.push(raise);
      }
      done();
    });
  }

  listNumbers(link: Link, workerId: string, shardId: number): Promise<ListedNumber[]> {
    return this.ask(link, () => {
      const lease = this.leases.lease(shardId);
      if (lease?.owner !== workerId) return [];
      return this.companies
        .filter((companyNo) => lease.lo <= companyNo && companyNo < lease.hi)
        .map((companyNo) => ({ companyNo, epoch: lease.epoch }));
    });
  }

  /** False: fenced. */
  read(link: Link, companyNo: number, epoch: number): Promise<boolean> {
    return this.ask(link, () => {
      const row = this.#row(companyNo);
      if (row.epoch !== epoch) return false;
      row.readEpoch = Math.max(row.readEpoch, epoch);
      return true;
    });
  }

  /** A write in one statement that takes a while, or in a transaction of several. */
  async write(link: Link, companyNo: number, epoch: number): Promise<WriteResult> {
    const simulation = this.#simulation;
    if (simulation.random() < 0.5) {
      return this.send<WriteResult>(link, (answer) => {
        const transaction = this.#begin(companyNo, epoch);
        if (!transaction) return answer("fenced");
        const isBusy = simulation.random() < 0.1;
        const ms = simulation.between(0, isBusy ? SLOW_COMMIT_MS : 30);
        simulation.after(ms, () => answer(this.#commit(transaction)));
      });
    }
    const transaction = await this.ask(link, () => {
      const begun = this.#begin(companyNo, epoch);
      if (begun) simulation.after(IDLE_IN_TRANSACTION_MS, () => this.#end(begun));
      return begun;
    });
    if (!transaction) return "fenced";
    return this.ask(link, () => this.#commit(transaction));
  }

  #begin(companyNo: number, epoch: number): Transaction | undefined {
    const row = this.#row(companyNo);
    if (row.epoch !== epoch) {
      this.fenced += 1;
      return undefined;
    }
    const transaction = { row, epoch, isOver: false };
    this.#transactions.add(transaction);
    if (this.#check === "for share") row.sharers += 1;
    return transaction;
  }

  #commit(transaction: Transaction): WriteResult {
    if (transaction.isOver) return "aborted";
    const { row, epoch } = transaction;
    this.writes += 1;
    if (epoch < row.readEpoch || epoch < row.wroteEpoch) {
      this.broken.push(
        `at ${Math.round(this.#simulation.now)} ms a write of epoch ${epoch} was accepted for number ` +
          `${row.companyNo}, read under ${row.readEpoch}, written under ${row.wroteEpoch}`,
      );
    }
    row.wroteEpoch = epoch;
    this.#end(transaction);
    return "written";
  }

  #end(transaction: Transaction): void {
    if (transaction.isOver) return;
    transaction.isOver = true;
    this.#transactions.delete(transaction);
    const { row } = transaction;
    if (this.#check !== "for share") return;
    row.sharers -= 1;
    if (row.sharers === 0) for (const raise of row.waiting.splice(0)) raise();
  }

  #row(companyNo: number): NumberRow {
    const row = this.#numbers.get(companyNo);
    if (!row) throw new Error(`no number ${companyNo}`);
    return row;
  }
}
