import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Gathered } from "./gathered.ts";

describe("what is asked for while an answer is awaited", () => {
  it("is asked for together, and each gets its own answer", async () => {
    const batches: number[][] = [];
    const { promise, resolve } = Promise.withResolvers<void>();
    const gathered = new Gathered<number, string>(
      async (inputs) => {
        batches.push(inputs);
        await promise;
        return inputs.map((input) => `got ${input}`);
      },
      { lanes: 1, most: 3 },
    );
    const answers = Promise.all([1, 2, 3, 4, 5].map((input) => gathered.ask(input)));
    resolve();
    assert.deepEqual(await answers, ["got 1", "got 2", "got 3", "got 4", "got 5"]);
    assert.deepEqual(batches, [[1], [2, 3, 4], [5]]);
  });
  it("fails alone when one of them is bad", async () => {
    const gathered = new Gathered<number, number>(
      async (inputs) => {
        if (inputs.includes(3)) throw new Error("three");
        return Promise.resolve(inputs);
      },
      { lanes: 1, most: 9 },
    );
    const settled = await Promise.allSettled([1, 2, 3, 4].map((input) => gathered.ask(input)));
    assert.deepEqual(
      settled.map(({ status }) => status),
      ["fulfilled", "fulfilled", "rejected", "fulfilled"],
    );
  });
});
