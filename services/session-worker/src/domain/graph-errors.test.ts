import assert from "node:assert/strict";
import { it } from "node:test";
import { graphRule, pairPauseMs, versionEnd } from "./graph-errors.ts";

it("each error has its reaction; what nobody knows fails the message, not the number", () => {
  const of = (code: number, more: { subcode?: number; httpStatus?: number } = {}): string => {
    const { reaction, error } = graphRule({ code, httpStatus: 400, ...more });
    return `${reaction} ${error}`;
  };
  assert.equal(of(190), "token NOT_ALLOWED");
  assert.equal(of(200), "token NOT_ALLOWED");
  assert.equal(of(100), "fail NOT_ACCEPTED");
  assert.equal(of(100, { subcode: 33 }), "place NOT_ALLOWED");
  assert.equal(of(131_056), "pair NO_ANSWER");
  assert.equal(of(130_429), "slow_down NOT_ACCEPTED");
  assert.equal(of(131_047), "fail WINDOW_CLOSED");
  assert.equal(of(131_026), "fail PHONE_NOT_ON_WHATSAPP");
  assert.equal(of(999_999), "fail NOT_ACCEPTED");
  assert.equal(of(999_999, { httpStatus: 503 }), "again NOT_ACCEPTED");
});

it("a chat waits four times longer each time, up to an hour or so", () => {
  assert.deepEqual([0, 1, 2, 3].map(pairPauseMs), [1_000, 4_000, 16_000, 64_000]);
  assert.equal(pairPauseMs(50), 4_096_000);
});

it("a version is warned about 90 days before its end", () => {
  const now = new Date("2026-11-21T00:00:00Z");
  assert.equal(versionEnd("v26.0", now), undefined);
  assert.equal(versionEnd("v22.0", now), undefined);
  assert.equal(versionEnd("v21.0", now)?.toISOString(), "2027-01-21T00:00:00.000Z");
  assert.ok(versionEnd("v17.0", now));
});
