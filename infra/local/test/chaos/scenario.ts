/** A fleet under audit, and what can be done to it. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { openFleet, type Fleet, type FleetOptions } from "../../src/testing/fleet.ts";
import type { FleetWorker } from "../../src/testing/fleet-worker.ts";
import { StatusSampler } from "./status-sampler.ts";
import { Traffic, type Pause } from "./traffic.ts";
import { AUDIT_SETTINGS, installAudit, type WriteAudit } from "./write-audit.ts";

/** After so long nothing will come of it. What took longer than it may is told at the end, with everything else. */
const PATIENCE_MS = 150_000;
/** Longer than a worker waits between two looks at its share. */
const CALM_MS = 3_000;
/** Of each process, when something that was waited for did not happen. */
const LAST_WARNINGS = 4;

export type Reclaim = { how: string; label: string; shards: number; ms: number };

export class Scenario implements AsyncDisposable {
  readonly fleet: Fleet;
  readonly audit: WriteAudit;
  readonly traffic: Traffic;
  readonly sampler: StatusSampler;
  readonly reclaims: Reclaim[] = [];
  readonly pauses: Pause[] = [];
  /** Milliseconds until everything was connected again, of each time it was waited for. */
  readonly settled: number[] = [];
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
  async settle(after: string): Promise<number> {
    const begunAt = performance.now();
    let problem = "";
    await this.#wait(
      `everything connected after ${after}`,
      100,
      async () => {
        problem = await this.#unsettled();
        return problem === "";
      },
      () => problem,
    );
    const ms = Math.round(performance.now() - begunAt);
    this.settled.push(ms);
    return ms;
  }

  /** Waits until nothing has changed its owner for a while: a fleet whose load is shared out rests. */
  async calm(): Promise<void> {
    let count = -1;
    let since = 0;
    await this.#wait("an end of moving shards about", 250, async () => {
      const now = await this.countMoves();
      if (now !== count) since = performance.now();
      count = now;
      return performance.now() - since > CALM_MS;
    });
  }

  /** Waits, and tells what there is to know when it was in vain. */
  async #wait(
    label: string,
    intervalMs: number,
    condition: () => Promise<boolean>,
    problem: () => string = () => "",
  ): Promise<void> {
    try {
      await until(condition, { deadlineMs: PATIENCE_MS, intervalMs, label });
    } catch (cause) {
      const known = await this.audit.owners().catch(() => new Map<number, string>());
      const owners = [...known.values()];
      const workers = this.fleet.living.map((worker) => {
        const { label: name, state, generation } = worker;
        const shards = owners.filter((owner) => owner === name).length;
        const warnings = worker
          .log()
          .filter(({ level }) => level !== "info" && level !== "debug")
          .slice(-LAST_WARNINGS)
          .map((line) => `    ${JSON.stringify(line).slice(0, 300)}`);
        return [`  ${name} ${state}, generation ${generation}, ${shards} shards`, ...warnings];
      });
      const lines = [
        `${label}: ${problem()}`,
        `clock set by ${this.traffic.clockStepMs} ms, longest stall ${Math.round(this.loopDelay.max / 1e6)} ms`,
        ...workers.flat(),
      ];
      throw new Error(lines.join("\n"), { cause });
    }
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
    await this.#wait(
      "a share for every worker",
      250,
      async () => (await this.owning()).length === this.running.length,
    );
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
    await this.#wait(`the shards of ${label} reclaimed`, 50, async () => {
      const owners = await this.audit.owners();
      return shards.every((shardId) => (owners.get(shardId) ?? label) !== label);
    });
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
