import assert from "node:assert/strict";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("webhooks arrive, beside a backlog too", async (t) => {
  const run = await runBench("webhooks", [
    "--events=200",
    "--rate=40",
    "--companies=4",
    "--chats=5",
    "--flood=200",
    "--backlog=2000",
    "--rounds=1",
  ]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  for (const name of ["undici alone", "notifier"]) {
    assert.match(run.stdout, new RegExp(`^${name}  +[\\d.]+`, "m"));
  }
  assert.ok(run.figure(/p99 at 40 a second: ([\d.]+) ms/) < 10 * 100);
});
