import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("the hand-over moves every number once, within three times its bar", async (t) => {
  const run = await runBench("handover", ["--numbers=70"]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  assert.match(run.stdout, /\(70 numbers\)\nnot moved 0, /);
  assert.ok(run.figure(/gap p99: ([\d.]+) s/) < 3 * 2);
});
