import assert from "node:assert/strict";
import { it } from "node:test";
import { cardOf } from "./cards.ts";

it("names each phone once, in their order", () => {
  const vcard =
    "BEGIN:VCARD\r\nFN:Ann\r\nTEL;waid=4912345:+49 123 45\nTEL:1 2 3\nTEL:+4912345\nTEL:x\n";
  assert.deepEqual(cardOf(null, vcard), { name: "Ann", phones: ["4912345", "123"], vcard });
});

it("is read in no time, however many phones a stranger puts into it", () => {
  const lines = Array.from({ length: 100_000 }, (_, index) => `TEL:${1_000_000_000 + index}`);
  const begun = performance.now();
  assert.equal(cardOf("Ann", lines.join("\n")).phones.length, 100_000);
  // All of a worker's numbers wait for it. Looking through a list for each takes half a minute.
  assert.ok(performance.now() - begun < 3_000);
});
