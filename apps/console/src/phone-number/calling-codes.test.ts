import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { callingCodesFile } from "../../scripts/calling-codes.ts";

test("the table is the one that libphonenumber's metadata makes", () => {
  const committed = readFileSync(new URL("./calling-codes.ts", import.meta.url), "utf8");
  assert.equal(committed, callingCodesFile(), "run: node scripts/calling-codes.ts");
});
