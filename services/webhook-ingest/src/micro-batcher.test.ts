import assert from "node:assert/strict";
import { it } from "node:test";
import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { until } from "@manyline/testkit";
import { BusyError, MicroBatcher, type MicroBatcherOptions } from "./micro-batcher.ts";

function open(more: Partial<MicroBatcherOptions<string>> = {}) {
  const commits: string[][] = [];
  const gates: PromiseWithResolvers<void>[] = [];
  const batcher = new MicroBatcher<string>({
    lanes: 1,
    size: 3,
    capacity: 100,
    isWorthSplitting: (error) => error instanceof RangeError,
    commit: async (items) => {
      commits.push([...items]);
      const gate = Promise.withResolvers<void>();
      gates.push(gate);
      await gate.promise;
    },
    ...more,
  });
  return { commits, gates, batcher };
}

/** By turns of the event loop: by time a busy machine may be elsewhere. */
async function turn(): Promise<void> {
  for (let count = 0; count < 3; count += 1) await setImmediate();
}

it("what comes while a commit is under way shares the next ones, in order and of limited size", async () => {
  const { batcher, commits, gates } = open();
  const done: string[] = [];
  const add = async (item: string): Promise<void> => {
    await batcher.add("k", item, 1);
    done.push(item);
  };
  const all = [add("a")];
  await turn();
  all.push(...["b", "c", "d", "e"].map(add));
  await turn();
  assert.deepEqual(commits, [["a"]]);
  gates[0]?.resolve();
  await turn();
  assert.deepEqual([commits.length, commits[1], done], [2, ["b", "c", "d"], ["a"]]);
  gates[1]?.resolve();
  await turn();
  gates[2]?.resolve();
  await Promise.all(all);
  assert.deepEqual(commits[2], ["e"]);
  assert.equal(batcher.weight, 0);
  await batcher.idle();
});

it("others wait for the end of a commit, and no longer for one that takes too long; so many at a time", async () => {
  const { batcher, commits, gates } = open({ lanes: 2, size: 100, capacity: 1_000 });
  const add = (key: string) => batcher.add(key, key, 1);
  const all = [add("first")];
  await turn();
  const many = Array.from({ length: 64 }, (_, place) => `many ${place}`);
  all.push(...many.map(add));
  await turn();
  assert.deepEqual(commits, [["first"]]);
  await until(() => commits.length === 2, { label: "the others" });
  assert.deepEqual(commits[1], many);
  assert.equal(batcher.count, 65);
  all.push(...many.map((key) => add(`${key} again`)));
  await delay(300);
  assert.equal(commits.length, 2, "no more than two at a time");
  gates[1]?.resolve();
  await until(() => commits.length === 3, { label: "the rest" });
  for (const gate of gates) gate.resolve();
  await Promise.all(all);
  assert.equal(commits[2]?.length, 64);
  await batcher.idle();
  assert.equal(batcher.count, 0);
});

it("items with the same key go one after the other and hold up no others", async () => {
  const { batcher, commits, gates } = open({ lanes: 2, size: 2 });
  const all = ["a1", "a2", "a3", "b1"].map((item) => batcher.add(item.charAt(0), item, 1));
  await until(() => commits.length === 2, { label: "the other one" });
  assert.deepEqual(commits, [["a1", "a2"], ["b1"]]);
  gates[1]?.resolve();
  await turn();
  assert.equal(commits.length, 2);
  all.push(batcher.add("a", "a4", 1));
  gates[0]?.resolve();
  await until(() => commits.length === 3, { label: "the rest" });
  assert.deepEqual(commits[2], ["a3", "a4"]);
  gates[2]?.resolve();
  await Promise.all(all);
});

it("one bad item does not fail its neighbours; an outage fails all at once", async () => {
  const tried: string[][] = [];
  const { batcher } = open({
    commit: async (items) => {
      tried.push([...items]);
      if (items.includes("bad")) throw new RangeError("bad");
      if (items.includes("outage")) throw new Error("away");
    },
  });
  const outcomes = await Promise.allSettled(
    ["x", "bad", "y"].map((item) => batcher.add("k", item, 1)),
  );
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
  assert.deepEqual(tried, [["x", "bad", "y"], ["x"], ["bad"], ["y"]]);
  tried.length = 0;
  await Promise.allSettled(["outage", "z"].map((item) => batcher.add("k", item, 1)));
  assert.deepEqual(tried, [["outage", "z"]]);
});

it("is idle only when what has just come is committed as well", async () => {
  const { batcher, commits, gates } = open();
  await batcher.idle();
  const added = batcher.add("k", "only", 1);
  const idle = batcher.idle();
  await turn();
  assert.deepEqual(commits, [["only"]]);
  gates[0]?.resolve();
  await Promise.all([added, idle]);
  assert.equal(batcher.weight, 0);
});

it("refuses what exceeds its capacity, but never the only one", async () => {
  const { batcher, gates } = open({ capacity: 10 });
  const first = batcher.add("k", "large", 50);
  await assert.rejects(batcher.add("k", "next", 1), BusyError);
  await turn();
  gates[0]?.resolve();
  await first;
  const next = batcher.add("k", "next", 1);
  await turn();
  gates[1]?.resolve();
  await next;
});

it("while two full commits wait, one is prepared beside the other; not of the same key", async () => {
  const { batcher, commits, gates } = open({ lanes: 4, size: 2, capacity: 1_000 });
  const add = (key: string) => batcher.add(key, key, 1);
  const all = ["a", "a", "b", "b", "c", "c", "c"].map(add);
  await turn();
  assert.deepEqual(commits, [
    ["a", "a"],
    ["b", "b"],
  ]);
  gates[0]?.resolve();
  await turn();
  // Fewer than two full ones wait now.
  assert.equal(commits.length, 2);
  gates[1]?.resolve();
  await turn();
  assert.deepEqual(commits[2], ["c", "c"]);
  gates[2]?.resolve();
  await turn();
  gates[3]?.resolve();
  await Promise.all(all);
  await batcher.idle();
});

it("a rest after a commit delays the next one, not whoever waits for the first", async () => {
  let restMs = 150;
  const { batcher, commits, gates } = open({ lanes: 4, size: 1, restMs: () => restMs });
  const all = ["a", "b", "c"].map((key) => batcher.add(key, key, 1));
  await turn();
  assert.equal(commits.length, 1, "none beside it while there are rests");
  const endedAt = performance.now();
  gates[0]?.resolve();
  await all[0];
  assert.equal(commits.length, 1);
  await until(() => commits.length > 1, { intervalMs: 5, label: "the next commit" });
  // A timer may be a moment early.
  assert.ok(performance.now() - endedAt > restMs - 10, "after the rest");
  restMs = 0;
  await until(() => {
    for (const gate of gates) gate.resolve();
    return batcher.count === 0;
  });
  await Promise.all(all);
  await batcher.idle();
});
