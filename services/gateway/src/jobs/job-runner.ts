import { newCommandId, shardPoke } from "@manyline/contracts";
import {
  inTransaction,
  isUnavailable,
  runningJobs,
  settleJobItems,
  startJobItems,
  tryHousekeeping,
} from "@manyline/db";
import type { Database, JobRow } from "@manyline/db";
import type { Bus, Clock, Logger } from "@manyline/runtime";

/** One turn: as many commands as the job's pace gives for this time. */
const TURN_MS = 1_000;
/** How soon a gateway notices a job that another one has taken in, should that one end. */
const IDLE_MS = 2_000;

export type JobRunnerDeps = {
  /** Role platform. */
  readonly db: Database;
  readonly bus: Bus;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly reports: { jobItemsSent(kind: string, count: number): void };
};

/**
 * Carries out bulk jobs: turn by turn it makes commands of waiting items, at the job's pace, and notes
 * what became of those that were sent. Everything it knows is in the database, so a restart loses nothing;
 * of several gateways the one that gets the turn's lease works.
 */
export class JobRunner {
  readonly #deps: JobRunnerDeps;
  readonly #id = `gateway-${crypto.randomUUID()}`;
  readonly #stopping = new AbortController();
  #wake: () => void = () => undefined;
  #running: Promise<void> | undefined;

  constructor(deps: JobRunnerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Ends after the turn under way. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#wake();
    await this.#running;
  }

  /** There is a new job: do not wait for the next look. */
  wake(): void {
    this.#wake();
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      const hasJobs = await this.#turn();
      if (!signal.aborted) await this.#pause(hasJobs ? TURN_MS : IDLE_MS, hasJobs);
    }
  }

  /** While jobs run nothing shortens the pause, or their pace would not hold. */
  async #pause(ms: number, isPaced: boolean): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const cancel = this.#deps.clock.setTimer(ms, resolve);
    this.#wake = () => {
      if (!isPaced || this.#stopping.signal.aborted) resolve();
    };
    await promise;
    cancel();
  }

  /** Whether there are jobs. */
  async #turn(): Promise<boolean> {
    const { db, logger } = this.#deps;
    try {
      const jobs = await runningJobs(db);
      if (jobs.length === 0) return false;
      if (!(await tryHousekeeping(db, "jobs", this.#id, TURN_MS))) return true;
      for (const job of jobs) await this.#advance(job);
      return true;
    } catch (error) {
      if (!isUnavailable(error)) logger.error({ event: "jobs.failed", err: error }, "jobs failed");
      return false;
    }
  }

  async #advance(job: JobRow): Promise<void> {
    const { db, bus, logger, reports } = this.#deps;
    const { jobId, kind, perSecond, state } = job;
    try {
      if (state === "running") {
        const count = Math.max(1, Math.round((perSecond * TURN_MS) / 1_000));
        const sent = await inTransaction(db, (tx) => startJobItems(tx, jobId, count, newCommandId));
        for (const shardId of new Set(sent.map((item) => item.shardId)))
          bus.poke(shardPoke(shardId));
        if (sent.length > 0) reports.jobItemsSent(kind, sent.length);
      }
      await settleJobItems(db, jobId);
    } catch (error) {
      if (isUnavailable(error)) throw error;
      // One job that cannot go on must not hold up the others.
      logger.error({ event: "job.failed", job_id: jobId, err: error }, "a job could not go on");
    }
  }
}
