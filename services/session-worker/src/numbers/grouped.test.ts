import assert from "node:assert/strict";
import { it } from "node:test";
import { Grouped } from "./grouped.ts";

it("runs a lone call at once, and what comes meanwhile together, in order, in groups of a size", async () => {
  const runs: number[][] = [];
  const gates: (() => void)[] = [];
  const grouped = new Grouped<number, string>(async (items) => {
    runs.push([...items]);
    await new Promise<void>((resolve) => gates.push(resolve));
    return items.map((item) => (item === 4 ? new Error("four") : `got ${item}`));
  }, 3);
  const first = grouped.add(1);
  await Promise.resolve();
  await Promise.resolve();
  const rest = [2, 3, 4, 5].map((item) => grouped.add(item).catch((error: Error) => error.message));
  gates.shift()?.();
  assert.equal(await first, "got 1");
  await new Promise((resolve) => setImmediate(resolve));
  gates.shift()?.();
  await new Promise((resolve) => setImmediate(resolve));
  gates.shift()?.();
  assert.deepEqual(await Promise.all(rest), ["got 2", "got 3", "four", "got 5"]);
  assert.deepEqual(runs, [[1], [2, 3, 4], [5]]);
});

it("a failed run rejects its own calls, and the next ones go on", async () => {
  let isBroken = true;
  const grouped = new Grouped<number, number>(async (items) => {
    if (isBroken) throw new Error("away");
    return items;
  }, 10);
  await assert.rejects(grouped.add(1), /away/);
  isBroken = false;
  assert.equal(await grouped.add(2), 2);
});

it("with two lanes a run that hangs does not hold up what comes after it", async () => {
  const hung = Promise.withResolvers<void>();
  const grouped = new Grouped<string, string>(
    async (items) => {
      if (items.includes("hangs")) await hung.promise;
      return items;
    },
    10,
    2,
  );
  const first = grouped.add("hangs");
  await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await Promise.all([grouped.add("a"), grouped.add("b")]), ["a", "b"]);
  hung.resolve();
  assert.equal(await first, "hangs");
});
