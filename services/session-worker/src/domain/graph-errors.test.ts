import assert from "node:assert/strict";
import { it } from "node:test";
import { askedWaitMs, graphRule, pairPauseMs, versionEnd } from "./graph-errors.ts";

it("each error has its reaction; what nobody knows fails the message, not the number", () => {
  const of = (code: number, more: { subcode?: number; httpStatus?: number } = {}): string => {
    const { reaction, error } = graphRule({ code, httpStatus: 400, ...more });
    return `${reaction} ${error}`;
  };
  for (const [rule, codes] of Object.entries({
    "token NOT_ALLOWED": [0, 3, 10, 190, 200, 250, 299, 131_005],
    "place NOT_ALLOWED": [33, 131_045, 133_010],
    "locked NOT_ALLOWED": [368, 131_031],
    "slow_down NOT_ACCEPTED": [4, 80_007, 130_429],
    "pair NO_ANSWER": [131_056],
    "rest NO_ANSWER": [2, 131_016, 131_057, 133_004],
    "again NO_ANSWER": [1, 131_000, 135_000],
    "fail NOT_ACCEPTED": [100, 131_008, 131_009, 131_021, 131_048, 131_049, 131_051, 130_472],
    "fail NOT_ALLOWED": [130_497, 131_030, 131_037, 131_042, 131_044, 131_063, 131_064],
    "fail PHONE_NOT_ON_WHATSAPP": [131_026],
    "fail WINDOW_CLOSED": [131_047],
    "fail OPTED_OUT": [131_050],
    "fail RECIPIENT_UNKNOWN": [131_062, 137_000],
    "fail MEDIA_UNAVAILABLE": [131_052, 131_053],
    "fail TEMPLATE_NOT_ACCEPTED": [132_000, 132_001, 132_007, 132_012, 132_015, 132_016, 132_068],
  })) {
    for (const code of codes) assert.equal(of(code), rule, String(code));
  }
  assert.equal(of(100, { subcode: 33 }), "place NOT_ALLOWED");
  assert.equal(of(999_999), "fail NOT_ACCEPTED");
  assert.equal(of(999_999, { httpStatus: 503 }), "again NOT_ACCEPTED");
  assert.equal(of(999_999, { httpStatus: 429 }), "slow_down NOT_ACCEPTED");
});

it("a chat waits four times longer each time, up to an hour or so", () => {
  assert.deepEqual([0, 1, 2, 3].map(pairPauseMs), [1_000, 4_000, 16_000, 64_000]);
  assert.equal(pairPauseMs(50), 4_096_000);
});

it("what Meta asks to wait is waited, up to ten minutes", () => {
  assert.deepEqual([undefined, 1_000, 90_000, 86_400_000].map(askedWaitMs), [
    undefined,
    1_000,
    90_000,
    600_000,
  ]);
});

it("a version is warned about 90 days before its end", () => {
  const now = new Date("2026-11-21T00:00:00Z");
  assert.equal(versionEnd("v26.0", now), undefined);
  assert.equal(versionEnd("v22.0", now), undefined);
  assert.equal(versionEnd("v21.0", now)?.toISOString(), "2027-01-21T00:00:00.000Z");
  assert.ok(versionEnd("v17.0", now));
});
