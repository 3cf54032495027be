import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";

test("the README shows the example as it is", async () => {
  const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");
  const [readme, example] = [await read("../README.md"), await read("../examples/answer-bot.ts")];
  assert.ok(readme.includes(`\`\`\`ts\n${example}\`\`\`\n`));
});

test("docs/meta.md shows the handler of flows as it is", async () => {
  const read = (path: string): Promise<string> => readFile(new URL(path, import.meta.url), "utf8");
  const page = await read("../../../docs/meta.md");
  const example = await read("../examples/flow-handler.ts");
  assert.ok(page.includes(`\`\`\`ts\n${example}\`\`\`\n`));
});
