import assert from "node:assert/strict";
import { it } from "node:test";
import { createFakeClock } from "@manyline/runtime";
import { createOpener } from "./opener.ts";

it("lets whoever was connected last go first, never more at once than allowed, and skips who gave up", async () => {
  const clock = createFakeClock();
  const opener = createOpener(clock, 2, 0);
  const order: string[] = [];
  const releases: (() => void)[] = [];
  const abort = new AbortController();
  const enter = (name: string, lastActive: string | null, signal = new AbortController().signal) =>
    opener
      .enter(signal, lastActive === null ? null : new Date(lastActive))
      .then((release) => {
        order.push(name);
        releases.push(release);
        return undefined;
      })
      .catch(() => order.push(`${name} gave up`));

  const all = [
    enter("first", null),
    enter("second", null),
    enter("never", null),
    enter("old", "2026-01-01"),
    enter("gone", "2026-03-01", abort.signal),
    enter("recent", "2026-02-01"),
    enter("also old", "2026-01-01"),
  ];
  await clock.advance(0);
  assert.deepEqual(order, ["first", "second"]);
  assert.equal(opener.inFlight, 2);
  assert.equal(opener.waiting, 5);
  abort.abort(new Error("let go"));
  for (let turn = 0; turn < 6; turn += 1) {
    releases.shift()?.();
    await clock.advance(0);
    assert.ok(opener.inFlight <= 2);
  }
  await Promise.all(all);
  assert.ok(order.includes("gone gave up"));
  const entered = order.filter((name) => !name.endsWith("gave up"));
  assert.deepEqual(entered.slice(2), ["recent", "old", "also old", "never"]);
  for (const release of releases) {
    release();
    release();
  }
  assert.equal(opener.inFlight, 0);
});
