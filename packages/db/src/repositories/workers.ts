import { sql } from "kysely";
import { type Executor } from "../open.ts";

export type WorkerInput = {
  /** Never used before: pod name and something random. */
  workerId: string;
  /** What shards are pinned to: the pod's or machine's name. Default: the worker id. */
  host?: string | undefined;
  /** Of the build, for operators. */
  version?: string | undefined;
  /** Grows with each roll-out: freed shards go to the newest generation first. */
  generation: number;
  /** Share of the shards, relative to the other workers. */
  capacity: number;
  /** The next incarnation of a worker that was told to drain: it stays asked to. */
  draining?: boolean | undefined;
};

/** Announces a worker; from now on it counts for the fair share. */
export async function registerWorker(executor: Executor, input: WorkerInput): Promise<void> {
  const { workerId, host = workerId, version = "", generation, capacity, draining = false } = input;
  await sql`insert into workers (worker_id, host, version, generation, capacity, draining, drain_asked)
    values (${workerId}, ${host}, ${version}, ${generation}, ${capacity}, ${draining}, ${draining})
    on conflict (worker_id) do update set host = excluded.host, version = excluded.version,
      generation = excluded.generation, capacity = excluded.capacity, draining = excluded.draining,
      seen_at = clock_timestamp()`.execute(executor);
}

/** The worker has stopped. Its shards must have been released. */
export async function removeWorker(executor: Executor, workerId: string): Promise<void> {
  await sql`delete from workers where worker_id = ${workerId}`.execute(executor);
}
