import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { it } from "node:test";
import { runBench } from "./run-bench.ts";

it("the cold start runs beside both kinds of bare sockets, within three times its bars", async (t) => {
  const run = await runBench("cold-start", ["--numbers=40", "--rounds=1", "--stock=20"]);
  t.diagnostic(run.stdout.trim());
  assert.ok(run.code === 0 || run.code === 1, run.stdout + run.stderr);
  assert.match(run.stdout, /bare Baileys, stock +20 [\s\S]*lean +40 [\s\S]*session-worker +40 /);
  assert.ok(run.figure(/CPU per open, of stock: ([\d.]+) ×/) < 3 * 0.35);
  // So few numbers pay for the start of the leases too: only that it ends is a bar here.
  assert.ok(run.figure(/wall, of repaired and lean: ([\d.]+) ×/) > 0);
});

it("tells where the processor time goes, and which statements Postgres saw", async (t) => {
  const folder = await mkdtemp(join(tmpdir(), "manyline-profile-"));
  t.after(() => rm(folder, { recursive: true }));
  const run = await runBench("cold-start", ["--numbers=10", `--profile=${folder}`]);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /self time by group[\s\S]*@whiskeysockets\/baileys/);
  assert.ok(run.figure(/role worker: ([\d.]+) statements per open/) > 0);
});

it("says in one sentence which limit is too small", async () => {
  const run = await runBench("cold-start", ["--numbers=1000"], "ulimit -n 600;");
  assert.equal(run.code, 2, run.stderr);
  assert.match(
    run.stdout,
    /^A process may open 600 files, this run needs 1300: .*"ulimit -n 1300"\.\n$/,
  );
  assert.equal(run.stderr, "");
});
