import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { isSameText, isSignedBy } from "./signature.ts";

type Vector = {
  name: string;
  app_secret: string;
  raw_body_base64: string;
  x_hub_signature_256: string;
  expected: "accept" | "reject";
};
const vectors = JSON.parse(
  readFileSync(new URL("../test/signature-vectors.json", import.meta.url), "utf8"),
) as Vector[];

const sign = (secret: string, body: Uint8Array): string =>
  `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;

describe("a signature", () => {
  for (const vector of vectors) {
    it(`${vector.name}: ${vector.expected}`, () => {
      const body = Buffer.from(vector.raw_body_base64, "base64");
      const isSigned = isSignedBy([vector.app_secret], body, vector.x_hub_signature_256);
      assert.equal(isSigned, vector.expected === "accept");
    });
  }
  it("of any of the secrets counts while one is being changed", () => {
    const body = Buffer.from("{}");
    assert.ok(isSignedBy(["new", "old"], body, sign("new", body)));
    assert.ok(isSignedBy(["new", "old"], body, sign("old", body)));
    assert.ok(!isSignedBy(["new"], body, sign("old", body)));
    assert.ok(!isSignedBy([], body, sign("new", body)));
  });
  it("that is missing, doubled, short, long, in capitals or of other bytes does not count", () => {
    const body = Buffer.from("{}");
    const good = sign("s", body);
    for (const header of [
      undefined,
      "",
      [good, good],
      good.slice(0, -1),
      `${good}0`,
      `${good}\n`,
      good.toUpperCase(),
      good.replace("sha256=", ""),
      sign("s", Buffer.from("{} ")),
    ]) {
      assert.ok(!isSignedBy(["s"], body, header), String(header));
    }
  });
});

it("texts are the same or not, whatever their length", () => {
  assert.ok(isSameText("abc", "abc"));
  for (const other of ["", "ab", "abd", "abcd"]) assert.ok(!isSameText("abc", other));
});
