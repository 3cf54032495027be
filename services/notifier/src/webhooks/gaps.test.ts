import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gaps } from "./gaps.ts";

const open = (youngUntilMs = 0) =>
  new Gaps({ gapMs: 5_000, firstGapMs: 250, youngUntilMs, most: 2 });
const through = { holdMs: 0, releaseTo: undefined };
const held = { holdMs: 5_000, releaseTo: undefined };

describe("events of a chat", () => {
  it("in order, and of a chat that is new, wait for nothing", () => {
    const gaps = open();
    for (const seq of [7, 8, 9]) assert.deepEqual(gaps.place("a", seq, 0), through);
    assert.deepEqual(gaps.place("b", 3, 0), through);
    assert.deepEqual(gaps.place("a", 9, 0), through, "one that comes again");
  });
  it("beyond a gap are held, and released when it is filled", () => {
    const gaps = open();
    gaps.place("a", 1, 0);
    assert.deepEqual(gaps.place("a", 3, 0), held);
    assert.deepEqual(gaps.place("a", 4, 0), held);
    assert.deepEqual(gaps.place("a", 6, 0), held);
    assert.deepEqual(gaps.place("a", 2, 10), { holdMs: 0, releaseTo: 4 });
    assert.deepEqual(gaps.place("a", 5, 20), { holdMs: 0, releaseTo: 6 });
    assert.deepEqual(gaps.place("a", 7, 30), through);
  });
  it("wait once for what never comes", () => {
    const gaps = open();
    gaps.place("a", 1, 0);
    assert.deepEqual(gaps.place("a", 3, 0), held);
    assert.deepEqual(gaps.place("a", 4, 5_000), through);
    assert.deepEqual(gaps.place("a", 2, 6_000), through, "too late");
  });
  it("of a chat that is new to a reader who has just begun, wait shortly for those before them", () => {
    const gaps = open(10_000);
    assert.deepEqual(gaps.place("a", 1, 0), through);
    assert.deepEqual(gaps.place("b", 8, 0), { holdMs: 250, releaseTo: undefined });
    assert.deepEqual(gaps.place("b", 7, 0), through);
    assert.deepEqual(gaps.place("c", 8, 10_000), through);
  });
  it("of the chats that were used last are remembered", () => {
    const gaps = open();
    for (const chat of ["a", "b", "a", "c"]) gaps.place(chat, 1, 0);
    assert.deepEqual(gaps.place("a", 3, 0), held);
    assert.deepEqual(gaps.place("b", 3, 0), through, "forgotten");
  });
});
