import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseMetaBody } from "./json.ts";
import { isOvergrown, normaliseMeta } from "./normalise.ts";
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

it("knows a webhook whose lists have more than fits into the memory, wherever they are", () => {
  const lists = (count: number): unknown => ({
    entry: [{ changes: [{ value: { messages: Array.from({ length: count }, () => [1]) } }] }],
  });
  const isSo = (body: unknown): boolean =>
    isOvergrown(body, Buffer.byteLength(JSON.stringify(body)));
  assert.equal(isSo(lists(49_999)), false);
  assert.equal(isSo(lists(50_000)), true);
  assert.equal(isSo({ text: "x".repeat(300_000) }), false);
});
