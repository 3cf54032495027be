import assert from "node:assert/strict";
import { test } from "node:test";
import { requestHash } from "./request-hash.ts";

const hash = (value: unknown): string => requestHash(value).toString("hex");

test("the order of fields does not matter, everything else does", () => {
  const one = hash({ number: null, body: { to: "1", text: "a", poll: { options: ["x", "y"] } } });
  assert.equal(
    hash({ body: { poll: { options: ["x", "y"] }, text: "a", to: "1" }, number: null }),
    one,
  );
  for (const other of [
    { number: "num_1", body: { to: "1", text: "a", poll: { options: ["x", "y"] } } },
    { number: null, body: { to: "1", text: "a", poll: { options: ["y", "x"] } } },
    { number: null, body: { to: "1", text: "b", poll: { options: ["x", "y"] } } },
    { number: null, body: { to: "1", text: "a", poll: { options: ["x", "y"] }, isBulk: true } },
  ]) {
    assert.notEqual(hash(other), one);
  }
});
