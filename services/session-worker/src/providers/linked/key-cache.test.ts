import assert from "node:assert/strict";
import { it } from "node:test";
import { createKeyCache } from "./key-cache.ts";

it("keeps what was used last, within its bytes", () => {
  const cache = createKeyCache(3 * 300);
  const value = (text: string): Buffer => Buffer.alloc(100, text);
  for (const name of ["a", "b", "c"]) cache.set(name, value(name));
  assert.deepEqual(cache.get("a"), value("a"));
  cache.set("d", value("d"));
  assert.equal(cache.get("b"), undefined);
  cache.set("c", value("x"));
  assert.deepEqual(cache.get("c"), value("x"));
  assert.deepEqual(cache.get("a"), value("a"));
  assert.notEqual(cache.newConnection(), cache.newConnection());
});
