import assert from "node:assert/strict";
import { it } from "node:test";
import type { Shares } from "@manyline/db";
import { fairWeight, shardsToShed, weightToClaim, type WeighedShard } from "./fair-share.ts";

const shares = (patch: Partial<Shares>): Shares => ({
  totalWeight: 100,
  myWeight: 0,
  myShards: 0,
  claimable: 0,
  expired: 0,
  liveWorkers: 4,
  liveCapacity: 4,
  ableCapacity: 4,
  myCapacity: 1,
  isMixed: false,
  newestAgeMs: 0,
  hasTaker: true,
  ...patch,
});
const mine = (...weights: number[]): WeighedShard[] =>
  weights.map((weight, index) => ({ shardId: index + 1, weight }));

it("a share follows capacity, and never stops a lone worker", () => {
  assert.equal(fairWeight(shares({})), 25);
  assert.equal(fairWeight(shares({ myCapacity: 2, liveCapacity: 5 })), 40);
  assert.equal(fairWeight(shares({ liveCapacity: 0, myCapacity: 0 })), 100);
  assert.equal(weightToClaim(shares({ myWeight: 24 }), true), 1);
  assert.equal(weightToClaim(shares({ myWeight: 26 }), true), 0);
});

it("expired leases are shared by those who may take them, not by whoever has just come", () => {
  const rescue = shares({ expired: 5, ableCapacity: 3, myWeight: 25 });
  assert.ok(Math.abs(weightToClaim(rescue, true) - 25 / 3) < 1e-9);
  assert.equal(weightToClaim(rescue, false), 0, "the newcomer keeps to its share");
  assert.equal(weightToClaim(shares({ expired: 5, ableCapacity: 0, myWeight: 25 }), true), 0);
  assert.equal(
    weightToClaim(shares({ ableCapacity: 1, myWeight: 25 }), true),
    0,
    "nothing expired",
  );
});

it("gives away only what leaves it at its share, lightest first, a tenth at a time", () => {
  assert.deepEqual(shardsToShed(shares({}), mine(20, 10)), []);
  assert.deepEqual(shardsToShed(shares({}), mine(20, 10, 5)), [3]);
  assert.deepEqual(
    shardsToShed(
      shares({}),
      Array.from({ length: 40 }, (_, i) => ({ shardId: i, weight: 1 })),
    ),
    [0, 1, 2, 3],
  );
});

it("gives nothing away when nobody would take it, or while a rollout replaces workers", () => {
  const heavy = mine(40, 10);
  assert.deepEqual(shardsToShed(shares({ hasTaker: false }), heavy), []);
  assert.deepEqual(shardsToShed(shares({ isMixed: true, newestAgeMs: 599_999 }), heavy), []);
  assert.deepEqual(shardsToShed(shares({ isMixed: true, newestAgeMs: 600_000 }), heavy), [2]);
});

it("what is pinned here weighs and stays", () => {
  const bound = { shardId: 9, weight: 10, isBound: true };
  assert.deepEqual(shardsToShed(shares({}), [bound, ...mine(20, 20)]), [1]);
  assert.deepEqual(shardsToShed(shares({}), [bound, { ...bound, shardId: 8, weight: 40 }]), []);
});

it("a hot shard ends alone: its owner gives everything else away", () => {
  let left = mine(90, 1, 1, 1, 1);
  for (let tick = 0; tick < 10; tick += 1) {
    const gone = new Set(shardsToShed(shares({}), left));
    left = left.filter(({ shardId }) => !gone.has(shardId));
  }
  assert.deepEqual(left, mine(90));
});
