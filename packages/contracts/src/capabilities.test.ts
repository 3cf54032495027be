import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { CANNOT, type Capability, ENGINES, engineOf } from "./capabilities.ts";
import { SEND_KIND_NAMES } from "./rest/sends.ts";

const ALL: readonly Capability[] = [
  ...SEND_KIND_NAMES,
  "group",
  "lid",
  "reply",
  "file_caption",
  "check_phones",
  "pairing_code",
];
const rows = [
  `| | ${ENGINES.map((engine) => `\`${engine}\``).join(" | ")} |`,
  "| --- | --- | --- | --- | --- |",
  ...ALL.map(
    (one) =>
      `| \`${one}\` | ${ENGINES.map((engine) => CANNOT[engine][one] ?? "yes").join(" | ")} |`,
  ),
];

it("docs/wpp.md holds the table of what each engine can do", () => {
  const document = readFileSync(new URL("../../../docs/wpp.md", import.meta.url), "utf8");
  assert.ok(document.includes(rows.join("\n")), `the table must be\n${rows.join("\n")}`);
});

it("the engine of a number is its provider, or the server of a WPP number", () => {
  const wppServer = "wppconnect" as const;
  assert.equal(engineOf({ provider: "wpp", wppServer }), "wppconnect");
  assert.equal(engineOf({ provider: "meta", wppServer }), "meta");
});
