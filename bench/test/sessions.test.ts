import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("idle numbers are measured in one process of each kind", async (t) => {
  const run = await runBench("sessions", ["--sizes=10,20", "--idle=1"]);
  t.diagnostic(run.stdout.trim());
  assert.equal(run.code, 0, run.stdout + run.stderr);
  for (const size of [10, 20]) {
    for (const side of ["bare Baileys, stock", "bare Baileys, repaired and lean", "session-worker"])
      assert.match(run.stdout, new RegExp(`^${side} +${size} +\\d+ MiB +-?\\d+ KiB`, "m"));
    assert.match(run.stdout, new RegExp(`RSS per number at ${size}, of stock: -?[\\d.]+ ×`));
  }
});

it("tells where the time of idle numbers goes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-profile-"));
  t.after(() => rm(folder, { recursive: true }));
  const run = await runBench("sessions", ["--sizes=10", "--idle=1", `--profile=${folder}`]);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.equal(run.stdout.match(/self time by function/g)?.length, 3);
});
