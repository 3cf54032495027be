import assert from "node:assert/strict";
import { test } from "node:test";
import { changedFields } from "./changes.ts";

test("only what differs, nested values compared by content", () => {
  const row = { name: "Salon", phone: null as string | null, config: { a: 1 } };
  assert.deepEqual(changedFields(row, { name: "Salon", config: { a: 1 } }), []);
  assert.deepEqual(changedFields(row, { phone: "79001234567", config: { a: 2 } }), [
    "phone",
    "config",
  ]);
  assert.deepEqual(changedFields({ name: "x" }, {}), []);
});
