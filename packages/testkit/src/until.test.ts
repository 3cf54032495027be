import assert from "node:assert/strict";
import { test } from "node:test";
import { DeadlineError, until } from "./until.ts";

test("until returns the first value that is there, also 0 and an empty string", async () => {
  let calls = 0;
  const found = await until(() => (++calls < 3 ? undefined : { calls }), { intervalMs: 1 });
  assert.deepEqual(found, { calls: 3 });
  assert.equal(await until(() => 0), 0);
  assert.equal(await until(() => Promise.resolve("")), "");
});

test("until names what it waited for, and the last error", async () => {
  const failing = until(
    () => {
      throw new Error("still closed");
    },
    { deadlineMs: 5, intervalMs: 1, label: "the door" },
  );
  await assert.rejects(failing, (error: unknown) => {
    assert.ok(error instanceof DeadlineError);
    assert.match(error.message, /^the door did not happen within 5 ms: still closed$/);
    return true;
  });
});
