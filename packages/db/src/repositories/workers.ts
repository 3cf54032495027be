import { sql } from "kysely";
import { changed, type Executor } from "../open.ts";

export type WorkerInput = {
  /** Never used before: pod name and something random. */
  workerId: string;
  /** Grows with each roll-out: freed shards go to the newest generation first. */
  generation: number;
  /** Share of the shards, relative to the other workers. */
  capacity: number;
};

/** Announces a worker; from now on it counts for the fair share. */
export async function registerWorker(executor: Executor, input: WorkerInput): Promise<void> {
  await sql`insert into workers (worker_id, generation, capacity)
    values (${input.workerId}, ${input.generation}, ${input.capacity})
    on conflict (worker_id) do update set generation = excluded.generation, capacity = excluded.capacity,
      draining = false, seen_at = clock_timestamp()`.execute(executor);
}

/** The worker lives; `draining`: it takes no more shards and hands over its own. False: it is not registered. */
export async function heartbeat(
  executor: Executor,
  workerId: string,
  state: { draining: boolean },
): Promise<boolean> {
  const count = await changed(
    executor,
    sql`update workers set seen_at = clock_timestamp(), draining = ${state.draining}
      where worker_id = ${workerId}`,
  );
  return count > 0;
}

/** The worker has stopped. Its shards must have been released. */
export async function removeWorker(executor: Executor, workerId: string): Promise<void> {
  await sql`delete from workers where worker_id = ${workerId}`.execute(executor);
}
