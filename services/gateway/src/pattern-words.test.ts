import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { wordsOfPattern } from "./pattern-words.ts";

function patternsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = "pattern" in value && typeof value.pattern === "string" ? [value.pattern] : [];
  return [...own, ...Object.values(value).flatMap(patternsIn)];
}

test("what each pattern of the API asks for is said in words", () => {
  const url = new URL("../../../docs/openapi.json", import.meta.url);
  const patterns = new Set(patternsIn(JSON.parse(readFileSync(url, "utf8"))));
  assert.ok(patterns.size > 15);
  for (const pattern of patterns) {
    const words = wordsOfPattern(pattern);
    assert.match(words, /^must (be|not) /);
    assert.doesNotMatch(words, /[\\^$[\]]/, pattern);
  }
  assert.equal(
    wordsOfPattern("^msg_[0-9a-f]{32}$"),
    "must be an id that begins with msg_, as it was given to you",
  );
  assert.match(wordsOfPattern("^[^\\p{Cc}\\p{Cs}]*$"), /control characters/);
});
