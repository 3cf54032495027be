import assert from "node:assert/strict";
import { test } from "node:test";
import { Seen } from "./seen.ts";

const at = (seconds: number): Date => new Date(Date.UTC(2026, 2, 1, 12, 0, seconds));
const start = { since: at(0), afterNo: 10, recent: [{ eventNo: 11, createdAt: at(5) }] };

test("a look begins where the last one may have missed a late commit, without what was had", () => {
  const seen = new Seen(start);
  assert.deepEqual(seen.position(false), { since: at(0), afterNo: 10, except: [11] });
  seen.add({ eventNo: 13, createdAt: at(9) });
  seen.readUntil(at(10), false);
  assert.deepEqual(seen.position(false), { since: at(8), afterNo: 11, except: [13] });
  assert.deepEqual(
    seen.position(true),
    { since: at(0), afterNo: 10, except: [11, 13] },
    "no thorough look was taken yet",
  );
});

test("what cannot be read again is forgotten; time does not go back", () => {
  const seen = new Seen(start);
  seen.add({ eventNo: 12, createdAt: at(29) });
  seen.readUntil(at(30), true);
  assert.deepEqual(seen.position(true), { since: at(20), afterNo: 11, except: [12] });
  assert.equal(seen.size, 1);
  seen.readUntil(at(5), true);
  assert.deepEqual(seen.position(true).since, at(20));
  seen.add({ eventNo: 3, createdAt: at(1) });
  assert.equal(seen.size, 1, "a repeated old event needs no remembering");
});
