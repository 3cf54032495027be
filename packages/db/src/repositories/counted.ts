/** Calls of functions that choose rows by age and answer how many. */
import { sql } from "kysely";
import { type Executor, firstRow } from "../open.ts";

export type Count = { count: number };

/** What a function that counts answers. */
export async function countOf(
  executor: Executor,
  statement: ReturnType<typeof sql<Count>>,
): Promise<number> {
  return (await firstRow(executor, statement))?.count ?? 0;
}

/** An interval of milliseconds. */
export function keep(ms: number) {
  return sql`${ms}::bigint * interval '1 millisecond'`;
}
