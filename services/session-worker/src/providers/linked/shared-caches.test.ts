import assert from "node:assert/strict";
import { it } from "node:test";
import { Lru } from "./lru.ts";
import { createSharedCaches } from "./shared-caches.ts";

it("keeps what was used last", () => {
  const lru = new Lru<string>(2);
  lru.set("a", "1");
  lru.set("b", "2");
  assert.equal(lru.get("a"), "1");
  lru.set("c", "3");
  assert.deepEqual([lru.get("b"), lru.get("a"), lru.get("c"), lru.size], [undefined, "1", "3", 2]);
});

it("phones and LIDs of a connection are seen by no other, and go after its end", () => {
  const caches = createSharedCaches();
  try {
    const [one, two] = [caches.mappings(), caches.mappings()];
    one.set("pn:1", "11");
    two.set("pn:1", "12");
    assert.deepEqual([one.get("pn:1"), two.get("pn:1")], ["11", "12"]);
    one.clear();
    assert.equal(caches.sizes()["mappings"], 2);
    assert.equal(caches.sweep(), 1);
    assert.deepEqual([one.get("pn:1"), two.get("pn:1")], [undefined, "12"]);
  } finally {
    caches.close();
  }
});

it("a full cache forgets instead of failing", () => {
  const caches = createSharedCaches();
  try {
    const { userDevicesCache } = caches.forDevice("num_1", Buffer.from("identity"));
    for (let nth = 0; nth < 100_010; nth += 1) {
      void userDevicesCache?.set(String(nth), nth);
    }
    assert.equal(caches.sizes()["devices"], 100_000);
  } finally {
    caches.close();
  }
});

it("a number that is linked anew knows nothing of what its former device knew", async () => {
  const caches = createSharedCaches();
  try {
    const [former, again, fresh] = ["first key", "first key", "other key"].map(
      (identity) => caches.forDevice("num_1", Buffer.from(identity)).userDevicesCache,
    );
    await former?.set("7900", ["1"]);
    assert.deepEqual(await again?.get("7900"), ["1"]);
    assert.equal(await fresh?.get("7900"), undefined);
  } finally {
    caches.close();
  }
});
