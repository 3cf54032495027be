import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { CANNOT, CAPABILITIES, ENGINES, engineOf, REASONS, whyNot } from "./capabilities.ts";
import { SEND_KIND_NAMES } from "./rest/sends.ts";

const rows = [
  `| | ${ENGINES.map((engine) => `\`${engine}\``).join(" | ")} |`,
  "| --- | --- | --- | --- | --- |",
  ...CAPABILITIES.map(
    (one) =>
      `| \`${one}\` | ${ENGINES.map((engine) => whyNot(engine, one) ?? "yes").join(" | ")} |`,
  ),
];

it("everything that can be sent is in the table, and every reason is given somewhere", () => {
  const known: ReadonlySet<string> = new Set(CAPABILITIES);
  assert.deepEqual(
    SEND_KIND_NAMES.filter((kind) => !known.has(kind)),
    [],
  );
  const given = new Set(ENGINES.flatMap((engine) => Object.values(CANNOT[engine])));
  assert.deepEqual([...given].toSorted(), Object.keys(REASONS).toSorted());
});

it("docs/wpp.md holds the table of what each engine can do", () => {
  const document = readFileSync(new URL("../../../docs/wpp.md", import.meta.url), "utf8");
  assert.ok(document.includes(rows.join("\n")), `the table must be\n${rows.join("\n")}`);
});

it("the engine of a number is its provider, or the server of a WPP number", () => {
  const wppServer = "wppconnect" as const;
  assert.equal(engineOf({ provider: "wpp", wppServer }), "wppconnect");
  assert.equal(engineOf({ provider: "meta", wppServer }), "meta");
});
