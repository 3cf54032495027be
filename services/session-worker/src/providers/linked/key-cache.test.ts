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

it("drops what connections that are over have left, and only that", () => {
  const cache = createKeyCache();
  const [one, two] = [cache.newConnection(), cache.newConnection()];
  for (const connection of [one, two]) cache.set(`${connection}/session/a`, Buffer.alloc(100));
  assert.equal(cache.sweep(), 0);
  const { bytes } = cache;
  cache.endConnection(one);
  assert.equal(cache.sweep(), 1);
  assert.equal(cache.get(`${one}/session/a`), undefined);
  assert.ok(cache.get(`${two}/session/a`));
  assert.deepEqual([cache.size, cache.bytes], [1, bytes / 2]);
});

it("holds values in memory of their own, not in a slab they share with others", () => {
  const cache = createKeyCache();
  const small = Buffer.from("a key");
  assert.ok(small.buffer.byteLength > small.length);
  cache.set("a", small);
  const kept = cache.get("a");
  assert.deepEqual(kept, small);
  assert.equal(kept?.buffer.byteLength, small.length);
});
