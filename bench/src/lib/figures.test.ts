import assert from "node:assert/strict";
import { test } from "node:test";
import { median, percentile, table } from "./figures.ts";

test("percentiles and medians do not depend on the order", () => {
  const values = [5, 1, 4, 2, 3];
  assert.equal(percentile(values, 0.5), 3);
  assert.equal(percentile(values, 0.99), 5);
  assert.equal(median(values), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.ok(Number.isNaN(percentile([], 0.5)));
});

test("a table aligns names to the left and figures to the right", () => {
  assert.equal(
    table(
      ["what", "ms"],
      [
        ["a", "1"],
        ["long", "1000"],
      ],
    ),
    "what    ms\n----  ----\na        1\nlong  1000",
  );
});
