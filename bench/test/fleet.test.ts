import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("a fleet opens, is measured at rest, and survives a kill", async (t) => {
  const run = await runBench("fleet", ["--numbers=130", "--workers=2", "--rest=1"]);
  t.diagnostic(run.stdout.trim());
  assert.equal(run.code, 0, run.stdout + run.stderr);
  const rows = [...run.stdout.matchAll(/^w\d +\d+ +(\d+) /gm)].map(([, numbers]) =>
    Number(numbers),
  );
  assert.equal(rows.length, 2);
  assert.equal(rows[0] === undefined || rows[1] === undefined ? 0 : rows[0] + rows[1], 130);
  assert.match(run.stdout, /last number open after [\d.]+ s/);
});
