/**
 * Makes src/strings/messages.ts from strings.json: each key with the placeholders its text needs, so that a
 * missing or misspelt one fails the type check. Run it after a change of strings.json:
 * `node scripts/message-types.ts`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { COMMON_PLACEHOLDERS } from "../src/strings/catalogue.ts";

const stringsUrl = new URL("../src/strings/strings.json", import.meta.url);

type Sections = Record<string, Record<string, Record<string, string | Record<string, string>>>>;

/** The whole generated file. Exported for the test that compares it with the committed one. */
export function messagesFile(): string {
  const sections = JSON.parse(readFileSync(stringsUrl, "utf8")) as Sections;
  const rows = Object.entries(sections).flatMap(([section, keys]) =>
    Object.entries(keys).map(([key, byLanguage]) => {
      const names = [...JSON.stringify(byLanguage["en"]).matchAll(/\{(\w+)\}/g)].map(
        (match) => match[1] ?? "",
      );
      const own = [...new Set(names)].filter((name) => !COMMON_PLACEHOLDERS.has(name));
      const fields = own.map((name) => `${name}: ${name === "n" ? "number" : "string | number"}`);
      const type = fields.length > 0 ? `{ ${fields.join("; ")} }` : "NoPlaceholders";
      return `  "${section}.${key}": ${type};`;
    }),
  );
  return [
    "/** Made by scripts/message-types.ts from strings.json; do not edit. */",
    "export type NoPlaceholders = Record<string, never>;",
    "",
    "/** Every text of the page with the placeholders it needs besides the common ones. */",
    "export type Messages = {",
    ...rows,
    "};",
    "",
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(new URL("../src/strings/messages.ts", import.meta.url), messagesFile());
}
