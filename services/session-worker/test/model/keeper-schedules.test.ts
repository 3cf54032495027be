import assert from "node:assert/strict";
import { test } from "node:test";
import { runSchedules } from "./schedules.ts";

/** How many random worlds. */
const RUNS = Number(process.env["MODEL_RUNS"] ?? 1_500);

test("whatever happens: no accepted stale write, one sender at most, and all is owned and even again", async (t) => {
  const { failed, report, worlds, ms, story } = await runSchedules({ kind: "rules", runs: RUNS });
  t.diagnostic(`${worlds} worlds in ${ms} ms: ${JSON.stringify(story)}`);
  assert.ok(!failed, report);
  assert.ok(
    story.takeovers > 0 && story.fenced > 0,
    "the worlds are too peaceful to prove anything",
  );
});

/** Each must be noticed: worlds in which nothing can go wrong would prove nothing. */
const BROKEN = {
  exists: /was accepted for number/,
  "no margin": /may both send/,
  hasty: /taken over right after the outage/,
} as const;

for (const [kind, notice] of Object.entries(BROKEN)) {
  test(`broken rule "${kind}": noticed`, async (t) => {
    const task = { kind: kind as keyof typeof BROKEN, runs: 10 * RUNS };
    const { failed, report, worlds, ms } = await runSchedules(task);
    t.diagnostic(`found in world ${worlds}, after ${ms} ms\n${report}`);
    assert.ok(failed, "nobody noticed");
    assert.match(report, notice);
  });
}
