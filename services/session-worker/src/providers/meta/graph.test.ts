import assert from "node:assert/strict";
import { it } from "node:test";
import { GraphRefusal } from "./graph.ts";

it("a refusal says how long to wait, in seconds or by a date that lies ahead", () => {
  const of = (retryAfter: string | null): number | undefined =>
    new GraphRefusal(429, undefined, retryAfter).retryAfterMs;
  assert.equal(of("12"), 12_000);
  for (const nothing of [null, "", "0", "-5", "soon", new Date(0).toUTCString()]) {
    assert.equal(of(nothing), undefined, String(nothing));
  }
  const ms = of(new Date(Date.now() + 3_600_000).toUTCString()) ?? 0;
  assert.ok(ms > 3_000_000 && ms <= 3_600_000, String(ms));
});
