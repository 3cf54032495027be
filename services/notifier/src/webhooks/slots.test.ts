import assert from "node:assert/strict";
import { it } from "node:test";
import { Slots } from "./slots.ts";

it("slots go to those who wait in turn, never more than there are", async () => {
  const slots = new Slots(3);
  assert.equal(await slots.take(1, 2), 2);
  assert.equal(await slots.take(2, 5), 1);
  const served: string[] = [];
  const first = slots.take(3, 2).then((count) => served.push(`first ${count}`));
  const second = slots.take(4, 1).then((count) => served.push(`second ${count}`));
  slots.give(2, 1);
  await first;
  assert.deepEqual(served, ["first 1"]);
  slots.give(1, 2);
  await second;
  assert.deepEqual(served, ["first 1", "second 1"]);
  assert.equal(slots.taken, 2);
});

it("who holds many leaves as many to others, and has more when they are given back", async () => {
  const slots = new Slots(8);
  assert.equal(await slots.take(1, 8), 4);
  let more = 0;
  const waits = slots.take(1, 8).then((count) => (more = count));
  assert.equal(await slots.take(2, 2), 2);
  assert.equal(await slots.take(3, 2), 1);
  assert.equal(await slots.take(4, 1), 1, "there is one for everybody who has none");
  assert.equal(more, 0);
  slots.give(2, 2);
  slots.give(3, 1);
  assert.equal(more, 0);
  slots.give(1, 2);
  await waits;
  assert.equal(more, 2);
});
