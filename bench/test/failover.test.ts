import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("a killed worker's numbers are reclaimed and open again elsewhere", async (t) => {
  const run = await runBench("failover", ["--numbers=70", "--workers=2"]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  assert.ok(run.figure(/, (\d+) open numbers/) > 0);
  assert.ok(run.figure(/reclaimed: ([\d.]+) s/) < 2 * 12);
});
