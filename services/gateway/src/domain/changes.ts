import { isDeepStrictEqual } from "node:util";

/**
 * The fields of `patch` that differ from what is stored, in the patch's order. A PATCH that changes
 * nothing writes nothing and tells nobody.
 */
export function changedFields<Row extends object>(row: Row, patch: Partial<Row>): (keyof Row)[] {
  return (Object.keys(patch) as (keyof Row)[]).filter(
    (field) => patch[field] !== undefined && !isDeepStrictEqual(row[field], patch[field]),
  );
}
