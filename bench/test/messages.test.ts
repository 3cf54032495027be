import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("messages go both ways on all sides, and what they write is counted", async (t) => {
  const run = await runBench("messages", [
    "--numbers=6",
    "--messages=60",
    "--paced=10",
    "--rounds=1",
  ]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  const sides = ["bare Baileys, stock", "bare Baileys, repaired and lean", "session-worker"];
  for (const side of sides) {
    // In the tables of what comes, what is sent, and how long it takes.
    assert.equal(run.stdout.match(new RegExp(`^${side} .*\\d`, "gm"))?.length, 3, side);
  }
  assert.match(run.stdout, /asked for another copy: phones 0, clients 0/);
  // Of a known person: journal, message, event, publication, ratchet, chat, journal done, publication marked.
  assert.ok(run.figure(/^inbound, at a pace +([\d.]+) /m) <= 8.5);
  assert.ok(run.figure(/CPU per inbound message, of bare: ([\d.]+) ×/) < 3 * 1.3);
});

it("tells where the time of an inbound message goes", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-profile-"));
  t.after(() => rm(folder, { recursive: true }));
  const run = await runBench("messages", ["--numbers=4", "--messages=40", `--profile=${folder}`]);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.equal(run.stdout.match(/self time by function/g)?.length, 2);
});
