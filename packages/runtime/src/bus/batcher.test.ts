import assert from "node:assert/strict";
import { test } from "node:test";
import { createBatcher } from "./batcher.ts";

test("gathers while a batch runs, one batch at a time, in order", async () => {
  const batches: number[][] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const done = Promise.withResolvers<void>();
  const batcher = createBatcher<number>({
    maxItems: 3,
    maxWaitMs: 1,
    handle: async (items) => {
      batches.push([...items]);
      await gates[batches.length - 1]?.promise;
      if (batches.flat().length === 7) done.resolve();
    },
  });
  for (const item of [1, 2, 3, 4, 5]) batcher.add(item);
  assert.deepEqual(batches, [[1, 2, 3]], "a full batch starts at once");
  batcher.add(6);
  batcher.add(7);
  gates[0]?.resolve();
  gates[1]?.resolve();
  await done.promise;
  assert.deepEqual(batches, [[1, 2, 3], [4, 5, 6], [7]]);
});

test("a single item goes after the wait, and clear takes back what no handler has", async () => {
  const batches: number[][] = [];
  const started = Promise.withResolvers<void>();
  const batcher = createBatcher<number>({
    maxItems: 10,
    maxWaitMs: 2,
    handle: async (items) => {
      batches.push([...items]);
      started.resolve();
      await Promise.resolve();
    },
  });
  batcher.add(1);
  assert.deepEqual(batches, []);
  await started.promise;
  batcher.add(2);
  assert.deepEqual(batcher.clear(), [2]);
  assert.deepEqual(batches, [[1]]);
});
