import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const read = (path: string): string => readFileSync(new URL(path, import.meta.url), "utf8");
const snake = (name: string): string =>
  name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);

/** The tables of `Schema`: name in SQL and the type of its rows. */
function tables(): { table: string; type: string }[] {
  const body = read("index.ts").split("export type Schema = {")[1] ?? "";
  return [...body.matchAll(/^ {2}(\w+): (\w+);$/gm)].map(([, name = "", type = ""]) => ({
    table: snake(name),
    type,
  }));
}

const sources = readdirSync(new URL(".", import.meta.url))
  .filter((file) => file.endsWith(".ts") && !file.endsWith(".test.ts"))
  .map(read)
  .join("\n");

test("every table says what it holds, who writes it and how long rows stay", () => {
  assert.ok(tables().length >= 20);
  for (const { table, type } of tables()) {
    const doc =
      new RegExp(`/\\*\\*((?:(?!\\*/)[^])*)\\*/\\nexport type ${type} `).exec(sources)?.[1] ?? "";
    assert.match(doc, /Writer(, by column)?: \w+/, `${table}: who writes`);
    assert.match(doc, /Retention: \w+/, `${table}: retention`);
  }
});

test("the README lists exactly these tables", () => {
  const readme = read("../../README.md");
  const listed = [...readme.matchAll(/^\| `(\w+)` \|/gm)].map(([, name]) => name);
  const known = tables().map(({ table }) => table);
  assert.deepEqual(new Set(listed), new Set(known));
  assert.equal(listed.length, known.length);
});
