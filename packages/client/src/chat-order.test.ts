import assert from "node:assert/strict";
import { test } from "node:test";
import { createFakeClock } from "@manyline/runtime";
import { ChatOrder } from "./chat-order.ts";
import type { OrderOptions, Placed } from "./chat-order.ts";

function scene(options: Partial<OrderOptions> = {}) {
  const clock = createFakeClock();
  const given: string[] = [];
  const order = new ChatOrder<Placed>({ clock, ...options }, ({ id }, isLate) => {
    given.push(isLate ? `${id}!` : id);
  });
  const push = (...ids: string[]): boolean[] =>
    ids.map((id) => {
      const [chatId, seq] = [id.slice(0, 1), Number(id.slice(1))];
      return order.push({ id, chatId, seq });
    });
  const took = (): string => given.splice(0).join(" ");
  return { clock, order, push, took };
}

test("in order at once, each chat for itself, each id once", () => {
  const { push, took } = scene();
  assert.deepEqual(push("a1", "b1", "a2", "a1", "b2", "a2"), [
    true,
    true,
    true,
    false,
    true,
    false,
  ]);
  assert.equal(took(), "a1 b1 a2 b2");
});

test("what comes too early waits for the gap to close", async () => {
  const { clock, push, took } = scene();
  push("a1", "a4", "a3", "b1");
  assert.equal(took(), "a1 b1");
  await clock.advance(4_900);
  assert.equal(took(), "");
  push("a2");
  assert.equal(took(), "a2 a3 a4");
  await clock.advance(20_000);
  assert.equal(took(), "");
});

test("at most 5 s, each from its own arrival; what comes afterwards is late", async () => {
  const { clock, push, took } = scene();
  push("a1", "a3");
  await clock.advance(3_000);
  push("a6");
  await clock.advance(1_999);
  assert.equal(took(), "a1");
  await clock.advance(1);
  assert.equal(took(), "a3");
  push("a4");
  assert.equal(took(), "a4");
  await clock.advance(3_000);
  assert.equal(took(), "a6");
  push("a2", "a5", "a7");
  assert.equal(took(), "a2! a5! a7");
});

test("whoever waited long enough takes those before it along, in order", async () => {
  const { clock, push, took } = scene();
  push("a1", "a9");
  await clock.advance(4_000);
  push("a5", "a7", "a10");
  await clock.advance(1_000);
  assert.equal(took(), "a1 a5 a7 a9 a10");
});

test("a chat that is met in the middle waits a moment for what overtook", async () => {
  const { clock, push, took } = scene();
  push("a7");
  assert.equal(took(), "");
  push("a6");
  await clock.advance(250);
  assert.equal(took(), "a6 a7");
  push("b2", "b1");
  assert.equal(took(), "b1 b2", "1 is the first there is");
});

test("what belongs to no chat goes through; flush gives out what waits", () => {
  const { order, push, took } = scene();
  push("a1", "a3", "a5");
  order.push({ id: "s", chatId: undefined, seq: undefined });
  assert.equal(took(), "a1 s");
  order.flush();
  assert.equal(took(), "a3 a5");
});

test("memory is bounded: the oldest ids and idle chats are forgotten, waiting ones are not", () => {
  const { push, took } = scene({ remembered: 3 });
  push("a1", "b1", "b3", "c1", "d1", "e1");
  took();
  assert.deepEqual(push("a1"), [true], "forgotten");
  push("b2");
  assert.match(took(), /b2 b3$/);
});
