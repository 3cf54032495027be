import { sql } from "kysely";
import { FencedError } from "../errors.ts";
import { type Database, firstRow, inTransaction, type Tx } from "../open.ts";

/** What a worker holds for a number: the epoch of the lease under which it owns it. */
export type Fence = { companyNo: number; numberNo: number; epoch: number };

/**
 * A transaction in which the number is ours: a new owner waits for its end, and row security lets writes
 * through for this number only. Deadlocks are repeated, see `inTransaction`.
 * @throws FencedError when the epoch is no longer the number's, or the number is gone
 */
export async function fencedTransaction<T>(
  db: Database,
  fence: Fence,
  work: (tx: Tx) => Promise<T>,
): Promise<T> {
  return inTransaction(db, async (tx) => {
    await holdFence(tx, fence);
    return work(tx);
  });
}

/** Locks the fence row until the end of the transaction; see `fencedTransaction`. */
export async function holdFence(tx: Tx, fence: Fence): Promise<void> {
  const row = await firstRow(
    tx,
    sql<{ held: boolean }>`
      select hold_fence(${fence.companyNo}, ${fence.numberNo}, ${fence.epoch}) as held`,
  );
  if (row?.held !== true) throw new FencedError(fence);
}
