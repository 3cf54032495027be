import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { it } from "node:test";

it("the pairing bench runs, beside the bare library, within three times its budget", (t) => {
  const run = spawnSync(process.execPath, [join(import.meta.dirname, "../src/pairing.ts"), "8"], {
    encoding: "utf8",
    timeout: 90_000,
  });
  t.diagnostic(run.stdout.trim());
  assert.equal(run.status, 0, run.stdout + run.stderr);
  assert.match(
    run.stdout,
    /ours +p50 \d+ ms[\s\S]*bare Baileys +p50 \d+ ms[\s\S]*ratio of the medians/,
  );
});
