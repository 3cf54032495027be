import { sql } from "kysely";
import { FencedError } from "../errors.ts";
import { type Database, type Executor, firstRow, inTransaction, rows, type Tx } from "../open.ts";

/** What a worker holds for a number: the epoch of the lease under which it owns it. */
export type Fence = {
  companyNo: number;
  numberNo: number;
  epoch: number;
  /** Of one connection: its writes of keys are refused once another login has begun. */
  login?: number;
};

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

/**
 * One transaction for many numbers. `work` gets the fences that held (maybe none); row security lets writes
 * through for those only, and a new owner of any of them waits for the end, so keep it short: a hundred
 * numbers or so (each row is compared with all that are held). Fences are
 * locked in one order, so batches do not deadlock over them; rows must be touched in one order too, as
 * `setNumberStatuses`, `setHealths`, `appendEvents` do, called in this order. Deadlocks are repeated.
 */
export async function fencedBatch<T>(
  db: Database,
  fences: readonly Fence[],
  work: (tx: Tx, held: Fence[]) => Promise<T>,
): Promise<T> {
  return inTransaction(db, async (tx) => work(tx, await holdFences(tx, fences)));
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

/** Locks the rows of those that hold, and returns these; see `fencedBatch`. */
export async function holdFences(tx: Tx, fences: readonly Fence[]): Promise<Fence[]> {
  if (fences.length === 0) return [];
  const row = await firstRow(
    tx,
    sql<{ numbers: number[] }>`select hold_fences(${fenceArrays(fences)}) as numbers`,
  );
  const held = new Set(row?.numbers);
  return fences.filter(({ numberNo }) => held.has(numberNo));
}

/** So many fences at a time, so that who raises one of them does not wait for all. */
const TOUCH_AT_ONCE = 100;

/**
 * Numbers that are connected at this moment were seen now. At most once in `apartMs` (a minute) per number;
 * those that are not due cost a look and no lock. Fenced, in statements of 100 numbers. Returns how many were
 * written.
 */
export async function touchSeen(
  executor: Executor,
  fences: readonly Fence[],
  apartMs = 60_000,
): Promise<number> {
  let count = 0;
  for (let from = 0; from < fences.length; from += TOUCH_AT_ONCE) {
    const some = fenceArrays(fences.slice(from, from + TOUCH_AT_ONCE));
    const row = await firstRow(
      executor,
      sql<{ count: number }>`
        select touch_seen(${some}, ${apartMs}::bigint * interval '1 millisecond') as count`,
    );
    count += row?.count ?? 0;
  }
  return count;
}

/**
 * Begins a login of each number, before its keys are read: raises its login counter, after the writes that are
 * under way, so that none of an earlier connection is accepted any more. One statement. Returns the fences
 * that held, with their logins.
 */
export async function beginLogins(executor: Executor, fences: readonly Fence[]): Promise<Fence[]> {
  const begun = await rows(
    executor,
    sql<{ numberNo: number; login: number }>`select * from begin_logins(${fenceArrays(fences)})`,
  );
  const logins = new Map(begun.map(({ numberNo, login }) => [numberNo, login]));
  return fences.flatMap((fence) => {
    const login = logins.get(fence.numberNo);
    return login === undefined ? [] : [{ ...fence, login }];
  });
}

/** Companies, numbers and epochs as the functions of the database take them. */
function fenceArrays(fences: readonly Fence[]) {
  return sql`${fences.map(({ companyNo }) => companyNo)}::int[],
    ${fences.map(({ numberNo }) => numberNo)}::int[], ${fences.map(({ epoch }) => epoch)}::bigint[]`;
}
