import assert from "node:assert/strict";
import { test } from "node:test";
import { newEventId, newMessageId } from "./ids.ts";

void test("ids ascend and are UUIDs of version 7, each once", () => {
  const ids = Array.from({ length: 50_000 }, () => newMessageId());
  assert.deepEqual(ids.toSorted(), ids);
  assert.equal(new Set(ids).size, ids.length);
  for (const id of ids) assert.match(id, /^msg_[0-9a-f]{12}7[0-9a-f]{3}[89ab][0-9a-f]{15}$/);
});

void test("what ids of different moments do not share is random", () => {
  const tails = Array.from({ length: 2_000 }, () => newEventId().slice(-12));
  assert.equal(new Set(tails).size, tails.length);
  for (let place = 0; place < 12; place += 1) {
    const digits = new Set(tails.map((tail) => tail[place]));
    assert.equal(digits.size, 16, `digit ${place}`);
  }
});

void test("ids ascend although the clock is set back", (context) => {
  const before = newMessageId();
  const now = Date.now();
  context.mock.timers.enable({ apis: ["Date"], now: now - 3_600_000 });
  const after = [newMessageId(), newMessageId()];
  assert.ok(before < (after[0] ?? "") && (after[0] ?? "") < (after[1] ?? ""));
});
