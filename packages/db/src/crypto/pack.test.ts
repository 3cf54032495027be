import assert from "node:assert/strict";
import { test } from "node:test";
import { pack, unpack } from "./pack.ts";

test("what is packed comes out again", () => {
  const entries = [
    { key: "1", value: Buffer.from("one") },
    { key: 'a "quoted" ü', value: Buffer.alloc(0) },
    { key: "3", value: Buffer.from([0, 255, 10]) },
  ];
  const values = unpack(pack(entries));
  assert.deepEqual(
    [...values],
    entries.map(({ key, value }) => [key, value]),
  );
  assert.equal(unpack(pack([])).size, 0);
});

test("a pack that was cut short is refused", () => {
  const bytes = pack([{ key: "1", value: Buffer.from("some bytes") }]);
  for (const length of [0, 3, 6, bytes.length - 1]) {
    assert.throws(() => unpack(bytes.subarray(0, length)));
  }
});
