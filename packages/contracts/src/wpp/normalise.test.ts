import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { parseMetaBody } from "../meta/json.ts";
import { normaliseWppConnect } from "./connect.ts";
import { normaliseWppPlatform } from "./platform.ts";
import { WPP_COLUMNS, wppLine } from "./table.ts";

const folder = new URL("../../fixtures/wpp/", import.meta.url);
const read = (file: string): string => readFileSync(new URL(file, folder), "utf8");
const NOW = new Date("2026-11-21T12:00:00Z");

describe("the fixtures", () => {
  const [head, ...lines] = read("expected.tsv").replace(/\n$/, "").split("\n");
  const files = readdirSync(folder).filter((file) => file.endsWith(".json"));

  it("cover what is expected, and the other way round", () => {
    assert.equal(head, ["file", ...WPP_COLUMNS].join("\t"));
    assert.deepEqual(new Set(lines.map((line) => line.split("\t")[0])), new Set(files));
  });
  for (const file of files) {
    it(`${file} gives the row that is expected`, () => {
      const body = parseMetaBody(read(file));
      const account = /__account-(.+)\.json$/.exec(file)?.[1];
      const items = file.startsWith("wppconnect")
        ? [normaliseWppConnect(body, NOW)]
        : normaliseWppPlatform(body, { account, now: NOW });
      assert.deepEqual(
        items.map((item) => `${file}\t${wppLine(item)}`),
        lines.filter((line) => line.startsWith(`${file}\t`)),
      );
    });
  }
});
