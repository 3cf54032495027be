/** What the build must keep: its size, and a policy without anything inline. */
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { gzipSync } from "node:zlib";
import { Build } from "./static-files.ts";

/** JavaScript, gzip, of what the pairing page needs to be drawn: code and the largest language. */
const FIRST_LOAD_BYTES = 30 * 1_024;
/** With all it fetches later: the QR encoder and the phone form. */
const WHOLE_PAGE_BYTES = 40 * 1_024;

let built: Build;
before(async () => {
  built = await Build.make();
});
after(() => built[Symbol.asyncDispose]());

const read = (path: string) => readFile(join(built.folder, path), "utf8");
const size = async (path: string) => gzipSync(await read(path), { level: 9 }).length;

/** The files a script imports, or with `isLazy` may fetch later. */
async function importsOf(file: string, isLazy = false): Promise<string[]> {
  const text = await read(file);
  const pattern = isLazy
    ? /import\(\s*["'`]\.\/([\w.-]+\.js)["'`]\s*\)/g
    : /(?:from|import)\s*["'`]\.\/([\w.-]+\.js)["'`]/g;
  return [...text.matchAll(pattern)].map(([, name = ""]) => `assets/${name}`);
}

async function withImports(entry: string, isLazy: boolean): Promise<Set<string>> {
  const found = new Set([entry]);
  for (const file of found) {
    for (const other of await importsOf(file)) found.add(other);
    if (isLazy) for (const other of await importsOf(file, true)) found.add(other);
  }
  return found;
}

async function entryOf(page: string): Promise<string> {
  const html = await read(page);
  return /<script type="module"[^>]* src="\.\/([^"]+)"/.exec(html)?.[1] ?? assert.fail(html);
}

describe("the built pages", () => {
  it("the pairing page keeps to its budget", async () => {
    const entry = await entryOf("whatsapp-pairing.html");
    const languages = (await readdir(join(built.folder, "assets"))).filter((name) =>
      name.startsWith("strings-"),
    );
    assert.equal(languages.length, 4);
    const sizes = await Promise.all(languages.map((name) => size(`assets/${name}`)));
    const language = Math.max(...sizes);
    const total = async (isLazy: boolean) => {
      const files = [...(await withImports(entry, isLazy))].filter(
        (file) => !file.includes("strings-"),
      );
      const all = await Promise.all(files.map(size));
      return all.reduce((sum, bytes) => sum + bytes, language);
    };
    const [first, whole] = [await total(false), await total(true)];
    assert.ok(first <= FIRST_LOAD_BYTES, `first load: ${first} bytes`);
    assert.ok(whole <= WHOLE_PAGE_BYTES, `whole page: ${whole} bytes`);
    assert.ok(whole > first, "something is fetched later");
  });

  it("the QR decoder is only the phone's, fetched when it is needed", async () => {
    const files = await withImports(await entryOf("whatsapp-pairing.html"), true);
    assert.ok(![...files].some((file) => file.includes("decode")));
    const phone = await entryOf("phone.html");
    assert.ok(![...(await withImports(phone, false))].some((file) => file.includes("decode")));
    assert.ok([...(await withImports(phone, true))].some((file) => file.includes("decode")));
  });

  it("nothing is inline, nothing comes from elsewhere", async () => {
    for (const page of ["whatsapp-pairing.html", "phone.html", "capabilities.html"]) {
      const html = await read(page);
      assert.doesNotMatch(html, /<style|style=|<script(?![^>]* src=)|\son\w+=|https?:\/\//, page);
      for (const [, address = ""] of html.matchAll(/(?:src|href)="([^"]+)"/g)) {
        assert.match(address, /^\.\/assets\/[\w-]+-[\w-]{8}\.\w+$/, "a hashed name, relative");
      }
    }
  });
});
