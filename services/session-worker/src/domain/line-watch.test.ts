import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LineWatch } from "./line-watch.ts";

const HOUR = 3_600_000;
const FIGURES = { lifeMs: 36 * HOUR, silenceMs: 2 * HOUR };

/** A connection over which `count` things have come, `gapMs` apart; the time of the last. */
function heard(watch: LineWatch, count: number, gapMs: number, from = 0): number {
  for (let nth = 1; nth <= count; nth += 1) watch.heard(from + nth * gapMs);
  return from + count * gapMs;
}

describe("age", () => {
  it("is jittered by a third, and waits for a quiet moment", () => {
    for (const [random, life] of [
      [0, 24],
      [0.5, 36],
      [0.999_999_9, 48],
    ] as const) {
      const watch = new LineWatch(FIGURES, () => random);
      watch.opened(0);
      assert.equal(watch.due(life * HOUR - 60_000), undefined);
      assert.equal(watch.due(life * HOUR), "age");
      watch.heard(life * HOUR);
      assert.equal(watch.due(life * HOUR + 59_000), undefined);
      assert.equal(watch.due(life * HOUR + 60_000), "age");
    }
  });

  it("does not wait for ever", () => {
    const watch = new LineWatch(FIGURES, () => 0);
    watch.opened(0);
    watch.heard(48 * HOUR);
    assert.equal(watch.due(48 * HOUR), "age");
  });

  it("begins anew with each connection, and ends with it", () => {
    const watch = new LineWatch(FIGURES, () => 0);
    watch.opened(0);
    watch.closed();
    assert.equal(watch.due(100 * HOUR), undefined);
    watch.opened(100 * HOUR);
    assert.equal(watch.due(101 * HOUR), undefined);
  });
});

describe("silence", () => {
  it("of somebody who is written to all the time", () => {
    const watch = new LineWatch(FIGURES);
    watch.opened(0);
    const last = heard(watch, 20, 60_000);
    assert.equal(watch.due(last + 2 * HOUR - 1), undefined);
    assert.equal(watch.due(last + 2 * HOUR), "silence");
  });

  it("is longer where less comes", () => {
    const watch = new LineWatch(FIGURES);
    watch.opened(0);
    const last = heard(watch, 20, HOUR / 2);
    assert.equal(watch.due(last + 9 * HOUR), undefined);
    assert.equal(watch.due(last + 10 * HOUR), "silence");
  });

  it("says nothing where hardly anything ever came", () => {
    const watch = new LineWatch(FIGURES);
    watch.opened(0);
    const last = heard(watch, 9, 1_000);
    assert.equal(watch.due(last + 20 * HOUR), undefined);
  });

  it("that goes on over fresh connections is taken for people who sleep", () => {
    const watch = new LineWatch(FIGURES);
    watch.opened(0);
    let at = heard(watch, 20, 60_000);
    for (const hours of [2, 4, 8]) {
      assert.equal(watch.due(at + hours * HOUR - 1), undefined);
      at += hours * HOUR;
      assert.equal(watch.due(at), "silence");
      watch.noteRecycled("silence");
      watch.opened(at);
    }
    // As soon as anything comes, the watch is as close as before.
    watch.heard(at + 1);
    assert.equal(watch.due(at + 1 + 2 * HOUR), undefined);
    const last = heard(watch, 60, 60_000, at);
    assert.equal(watch.due(last + 2 * HOUR), "silence");
  });
});
