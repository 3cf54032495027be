import assert from "node:assert/strict";
import { it } from "node:test";
import { metaPace, TokenBucket } from "./pace.ts";

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

it("goes on at another pace with what it has, but never with more than a burst of that", () => {
  const bucket = new TokenBucket({ perSecond: 10, burst: 10 }, 0);
  bucket.take(8, 0);
  bucket.change({ perSecond: 100, burst: 100 }, 100);
  assert.equal(bucket.available(100), 3);
  assert.equal(bucket.available(200), 13);
  bucket.change({ perSecond: 2, burst: 2 }, 200);
  assert.equal(bucket.available(200), 2);
  bucket.take(2, 200);
  assert.equal(bucket.nextInMs(200), 500);
});

it("Meta's level decides how fast a number is, unless a phone has it as well", () => {
  const of = (...[said]: Parameters<typeof metaPace>): number[] => {
    const { perSecond, burst, underWay } = metaPace(said);
    return [perSecond, burst, underWay];
  };
  assert.deepEqual(of({ throughput: "STANDARD" }), [80, 80, 32]);
  assert.deepEqual(of({ throughput: "HIGH" }), [1_000, 1_000, 400]);
  assert.deepEqual(of({ throughput: "STANDARD", isOnApp: true }), [20, 20, 16]);
  assert.deepEqual(of({ throughput: "HIGH", isOnApp: true }), [20, 20, 16]);
  assert.deepEqual(of({ throughput: "HIGH", isOnApp: false }), [1_000, 1_000, 400]);
  for (const unknown of [undefined, {}, { throughput: "NOT_APPLICABLE" }]) {
    assert.deepEqual(of(unknown), [80, 80, 32]);
  }
});
