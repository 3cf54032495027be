import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("webhooks are taken by all three, and what was taken is stored", async (t) => {
  const run = await runBench("ingest", [
    "--webhooks=400",
    "--paced=200",
    "--rate=100",
    "--connections=16",
    "--numbers=5",
    "--rounds=1",
  ]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  for (const name of ["Fastify, HMAC", "Fastify, HMAC, one insert each", "webhook-ingest"]) {
    assert.match(run.stdout, new RegExp(`^${name}  +\\d+ `, "m"));
  }
  assert.match(run.stdout, /stored: webhook-ingest 1100 of 1100, one insert each 900 of 900/);
  assert.ok(run.figure(/p99 at 100 a second: ([\d.]+) ms/) < 3 * 60);
});
