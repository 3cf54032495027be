/** A class that no sheet defines is a misspelt one: the compiler does not see it. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const source = fileURLToPath(new URL("..", import.meta.url));

test("every class that is used exists in its sheet", () => {
  let count = 0;
  for (const file of globSync("**/*.tsx", { cwd: source })) {
    const text = readFileSync(join(source, file), "utf8");
    const sheet = /import css from "(.+\.module\.css)"/.exec(text)?.[1];
    if (sheet === undefined) continue;
    const rules = readFileSync(join(source, dirname(file), sheet), "utf8");
    for (const [, name = ""] of text.matchAll(/\bcss\.(\w+)/g)) {
      count += 1;
      assert.match(rules, new RegExp(`\\.${name}\\b`), `${file}: .${name} in ${sheet}`);
    }
  }
  assert.ok(count > 50);
});
