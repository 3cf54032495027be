import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { it } from "node:test";
import { CAPABILITIES, ENGINES, REASONS } from "@manyline/contracts/capabilities";
import { LANGUAGES } from "../strings/language.ts";
import { firstSpoken, LANGUAGE_CODES } from "./words.ts";

const sections = JSON.parse(
  readFileSync(new URL("./capabilities.json", import.meta.url), "utf8"),
) as Record<string, Record<string, Record<string, string>>>;

it("every engine, capability and reason has its text, and no text is of something else", () => {
  const keys = (section: string): string[] => Object.keys(sections[section] ?? {}).toSorted();
  assert.deepEqual(keys("engine"), [...ENGINES].toSorted());
  assert.deepEqual(keys("what"), [...CAPABILITIES].toSorted());
  assert.deepEqual(keys("reason"), Object.keys(REASONS).toSorted());
});

it("texts exist in all languages", () => {
  for (const [section, texts] of Object.entries(sections)) {
    for (const [key, byLanguage] of Object.entries(texts)) {
      assert.deepEqual(Object.keys(byLanguage), Object.keys(LANGUAGES), `${section}.${key}`);
      for (const text of Object.values(byLanguage)) assert.ok(text.trim(), `${section}.${key}`);
    }
  }
});

it("the first language that is spoken is shown", () => {
  assert.deepEqual(LANGUAGE_CODES, Object.keys(LANGUAGES));
  assert.equal(firstSpoken([null, "de-DE", "pt-BR", "ru"]), "pt");
  assert.equal(firstSpoken([null, "zz"]), "en");
});
