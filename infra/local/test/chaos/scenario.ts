/** A fleet under audit, and what can be done to it. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { openFleet, type Fleet, type FleetOptions } from "../../src/testing/fleet.ts";
import type { FleetWorker } from "../../src/testing/fleet-worker.ts";
import { StatusSampler } from "./status-sampler.ts";
import { Traffic, type Pause } from "./traffic.ts";
import { AUDIT_SETTINGS, installAudit, type WriteAudit } from "./write-audit.ts";

const SETTLE_MS = 60_000;
/** Longer than a worker waits between two looks at its share. */
const CALM_MS = 3_000;
/** Time enough for a lease to run out and somebody to take over, three times over. */
const RECLAIM_LIMIT_MS = 36_000;

export type Reclaim = { how: string; label: string; shards: number; ms: number };

export class Scenario implements AsyncDisposable {
  readonly fleet: Fleet;
  readonly audit: WriteAudit;
  readonly traffic: Traffic;
  readonly sampler: StatusSampler;
  readonly reclaims: Reclaim[] = [];
  readonly pauses: Pause[] = [];
  readonly loopDelay = monitorEventLoopDelay({ resolution: 10 });
  /** Of the workers started from now on. */
  generation = 1;

  private constructor(fleet: Fleet, audit: WriteAudit) {
    this.fleet = fleet;
    this.audit = audit;
    this.traffic = new Traffic(fleet);
    this.sampler = new StatusSampler(fleet, this.traffic);
    this.loopDelay.enable();
  }

  /** A settled fleet. */
  static async open(options: FleetOptions & { workers: number }): Promise<Scenario> {
    const { workers, ...rest } = options;
    const fleet = await openFleet({ ...rest, workers: 0, postgresSettings: AUDIT_SETTINGS });
    await using opened = new AsyncDisposableStack();
    opened.use(fleet);
    const scenario = new Scenario(fleet, opened.use(await installAudit(fleet.database)));
    await Promise.all(Array.from({ length: workers }, () => scenario.join()));
    await scenario.settle("the start");
    await scenario.calm();
    opened.move();
    return scenario;
  }

  /** Of those that run. */
  get running(): FleetWorker[] {
    return this.fleet.living.filter(({ state }) => state === "running");
  }

  /** Of those that run, the ones that own something. */
  async owning(): Promise<FleetWorker[]> {
    const owners = new Set((await this.audit.owners()).values());
    return this.running.filter(({ label }) => owners.has(label));
  }

  join(): Promise<FleetWorker> {
    return this.fleet.startWorker({ generation: this.generation });
  }

  /** Waits until every number is connected through its owner, and the database says so. Milliseconds it took. */
  async settle(after: string, deadlineMs = SETTLE_MS): Promise<number> {
    const begunAt = performance.now();
    let problem = "";
    try {
      await until(
        async () => {
          problem = await this.#unsettled();
          return problem === "";
        },
        { deadlineMs, intervalMs: 100, label: `everything connected after ${after}` },
      );
    } catch (error) {
      throw new Error(`after ${after}: ${problem}`, { cause: error });
    }
    return performance.now() - begunAt;
  }

  /** Waits until nothing has changed its owner for a while: a fleet whose load is shared out rests. */
  async calm(): Promise<void> {
    await until(
      async () => {
        const [row] = await this.audit.query<{ count: number }>(
          `select count(*)::int as count from chaos.changes
            where at > clock_timestamp() - $1::int * interval '1 millisecond'`,
          [CALM_MS],
        );
        return row?.count === 0;
      },
      { deadlineMs: SETTLE_MS, intervalMs: 250, label: "an end of moving shards about" },
    );
  }

  async #unsettled(): Promise<string> {
    const owners = await this.audit.owners();
    const [row] = await this.audit.query<{ count: number; example: string | null }>(
      `select count(*)::int as count, min(n.status || '/' || n.reason || ' owner ' || coalesce(l.owner, '-')
          || ' since ' || n.since) as example
        from numbers n join companies c on c.company_no = n.company_no
        join shard_leases l on l.shard_id = c.shard_id
        where n.status <> 'connected' or n.status_epoch <> l.epoch or l.owner is null or l.expires_at < clock_timestamp()`,
    );
    const elsewhere = this.fleet.numbers.filter(
      (number) => this.traffic.labelOf(number) !== (owners.get(number.shardId) ?? "nobody"),
    );
    if (row?.count === 0 && elsewhere.length === 0) return "";
    const [one] = elsewhere;
    return [
      `${row?.count ?? "?"} numbers not connected in the database (${row?.example ?? ""});`,
      `${elsewhere.length} not connected through their owner`,
      one
        ? `(…${one.phone.slice(-4)} of ${owners.get(one.shardId)} is with ${this.traffic.labelOf(one)})`
        : "",
    ].join(" ");
  }

  /** SIGKILL. Resolves when every shard of the worker has another owner. */
  async kill(worker: FleetWorker): Promise<void> {
    const shards = await this.#shardsOf(worker);
    const failover = this.sampler.failover(shards);
    const at = performance.now();
    await worker.kill();
    await this.#reclaimed("kill -9", worker, shards, at);
    failover.end();
  }

  /** SIGSTOP until after every shard of the worker has another owner, then SIGCONT. */
  async freeze(worker: FleetWorker, extraMs: number): Promise<void> {
    const shards = await this.#shardsOf(worker);
    const failover = this.sampler.failover(shards);
    const from = Date.now();
    const at = performance.now();
    await worker.pause();
    await this.#reclaimed("SIGSTOP", worker, shards, at);
    failover.end();
    await delay(extraMs);
    this.pauses.push({ label: worker.label, from, to: Date.now() });
    await worker.resume();
  }

  /** New workers of a new generation one by one, each followed by the end of an old one. Moves per number. */
  async rollOut(): Promise<number> {
    // Whoever joined a moment ago still takes its share, which is not the rollout's doing.
    await until(async () => (await this.owning()).length === this.running.length, {
      deadlineMs: SETTLE_MS,
      intervalMs: 250,
      label: "a share for every worker",
    });
    await this.calm();
    const old = this.fleet.living;
    this.generation += 1;
    const since = await this.countMoves();
    for (const worker of old) {
      await this.join();
      await worker.stop();
    }
    await this.settle("a rollout");
    await this.calm();
    return ((await this.countMoves()) - since) / this.fleet.numbers.length;
  }

  /** How many numbers came to another owner so far, each as often as it did. */
  async countMoves(): Promise<number> {
    const [row] = await this.audit.query<{ count: number }>(
      `select count(*)::int as count from chaos.changes m join companies c on c.shard_id = m.shard_id
        join numbers n on n.company_no = c.company_no where m.owner is not null`,
    );
    return row?.count ?? 0;
  }

  async #shardsOf(worker: FleetWorker): Promise<number[]> {
    const owners = await this.audit.owners();
    return [...owners].flatMap(([shardId, label]) => (label === worker.label ? [shardId] : []));
  }

  async #reclaimed(how: string, worker: FleetWorker, shards: number[], at: number): Promise<void> {
    const { label } = worker;
    await until(
      async () => {
        const owners = await this.audit.owners();
        return shards.every((shardId) => (owners.get(shardId) ?? label) !== label);
      },
      { deadlineMs: RECLAIM_LIMIT_MS, intervalMs: 50, label: `the shards of ${label} reclaimed` },
    );
    // As this process saw it: somebody may set the clock that Postgres goes by.
    const ms = shards.length === 0 ? 0 : Math.round(performance.now() - at);
    this.reclaims.push({ how, label, shards: shards.length, ms });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.loopDelay.disable();
    await this.sampler.stop();
    await this.audit[Symbol.asyncDispose]();
    await this.fleet[Symbol.asyncDispose]();
  }
}
