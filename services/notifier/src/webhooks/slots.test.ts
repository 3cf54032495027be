import assert from "node:assert/strict";
import { it } from "node:test";
import { Slots } from "./slots.ts";

it("slots go to those who wait in turn, never more than there are", async () => {
  const slots = new Slots(3);
  assert.equal(await slots.take(2), 2);
  assert.equal(await slots.take(5), 1);
  const served: string[] = [];
  const first = slots.take(2).then((count) => served.push(`first ${count}`));
  const second = slots.take(1).then((count) => served.push(`second ${count}`));
  slots.give(1);
  await first;
  assert.deepEqual(served, ["first 1"]);
  slots.give(2);
  await second;
  assert.deepEqual(served, ["first 1", "second 1"]);
  assert.equal(slots.taken, 2);
});
