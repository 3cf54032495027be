import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("a soak loses nothing, and leaves no handles behind", async (t) => {
  const run = await runBench("soak", [
    "--minutes=0.3",
    "--numbers=20",
    "--drops=2",
    "--inbound=8",
    "--outbound=4",
  ]);
  t.diagnostic(run.stdout.trim());
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /RSS slope: -?[\d.]+ ± [\d.]+ MiB\/h/);
  assert.ok(run.figure(/logins; (\d+) messages in/) > 50);
  // One connection each, as at the beginning.
  const [, before, after] =
    /^open files +(\d+) +\d+ +\d+ +(\d+)$/m.exec(run.stdout)?.map(Number) ?? [];
  assert.ok(before !== undefined && after !== undefined, run.stdout);
  assert.ok(after <= before + 10, `${before} open files at first, ${after} at the end`);
});
