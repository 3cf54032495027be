import assert from "node:assert/strict";
import { test } from "node:test";
import { fitLine } from "./regression.ts";

const at = (ys: readonly number[]) => ys.map((y, x) => ({ x, y }));

test("a line is found, and how sure it is", () => {
  assert.deepEqual(fitLine(at([1, 3, 5, 7])), { slope: 2, error: 0 });
  assert.deepEqual(fitLine(at([4, 4, 4])), { slope: 0, error: 0 });
  const { slope, error } = fitLine(at([0, 2, 0, 2, 0, 2, 0, 2]));
  assert.ok(slope > 0 && slope < 2 * error, `${slope} ± ${error}`);
  assert.ok(Number.isNaN(fitLine(at([1])).slope));
});
