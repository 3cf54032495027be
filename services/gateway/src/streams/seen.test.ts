import assert from "node:assert/strict";
import { test } from "node:test";
import { Seen } from "./seen.ts";

const at = (seconds: number): Date => new Date(Date.UTC(2026, 2, 1, 12, 0, seconds));

test("an event that commits late is new, one that was sent is not", () => {
  const seen = new Seen(at(0), 10_000);
  assert.ok(seen.isNew({ eventId: "b", createdAt: at(2) }));
  seen.readUntil(at(5));
  assert.ok(seen.since < at(1), "what was written at second 1 is read again");
  assert.ok(seen.isNew({ eventId: "a", createdAt: at(1) }));
  assert.ok(!seen.isNew({ eventId: "b", createdAt: at(2) }));
});

test("what can not be read again is forgotten; time does not go back", () => {
  const seen = new Seen(at(0), 10_000);
  seen.isNew({ eventId: "a", createdAt: at(1) });
  seen.isNew({ eventId: "b", createdAt: at(30) });
  seen.readUntil(at(31));
  assert.deepEqual(seen.since, at(21));
  assert.equal(seen.size, 1);
  seen.readUntil(at(5));
  assert.deepEqual(seen.since, at(21));
});
