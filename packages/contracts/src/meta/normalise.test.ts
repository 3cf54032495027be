import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseMetaBody } from "./json.ts";
import { normaliseMeta } from "./normalise.ts";
import { metaLine, metaRows } from "./table.ts";

const folder = new URL("../../fixtures/meta/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");
const NOW = new Date("2026-11-21T12:00:00Z");

describe("the fixtures", () => {
  const [head = "", ...lines] = read("expected.tsv").replace(/\n$/, "").split("\n");
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));

  it("cover what is expected, and the other way round", () => {
    assert.ok(head.startsWith("file\trow\t"));
    const named = new Set(lines.map((line) => line.split("\t")[0]));
    assert.deepEqual(named, new Set(files));
  });
  for (const file of files) {
    it(`${file} gives the rows that are expected`, () => {
      const expected = lines.filter((line) => line.startsWith(`${file}\t`));
      const webhook = normaliseMeta(parseMetaBody(read(file)), NOW);
      const rows = metaRows(webhook).map((row) => metaLine([file, ...row]));
      assert.deepEqual(rows, expected);
    });
  }
});
