import assert from "node:assert/strict";
import { it } from "node:test";
import { TokenBucket } from "./pace.ts";

it("lets a burst go, then one after another, and never saves up more than a burst", () => {
  const bucket = new TokenBucket({ perSecond: 2, burst: 3 }, 1_000);
  assert.equal(bucket.available(1_000), 3);
  bucket.take(3, 1_000);
  assert.equal(bucket.available(1_000), 0);
  assert.equal(bucket.nextInMs(1_000), 500);
  assert.equal(bucket.nextInMs(1_400), 100);
  assert.equal(bucket.available(1_499), 0);
  assert.equal(bucket.available(1_500), 1);
  assert.equal(bucket.nextInMs(1_500), 0);
  assert.equal(bucket.available(3_600_000), 3);
});

it("pays back what was taken too much", () => {
  const bucket = new TokenBucket({ perSecond: 1, burst: 1 }, 0);
  bucket.take(3, 0);
  assert.equal(bucket.available(0), 0);
  assert.equal(bucket.nextInMs(0), 3_000);
  assert.equal(bucket.available(3_000), 1);
});
