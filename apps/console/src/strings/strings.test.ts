import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { messagesFile } from "../../scripts/message-types.ts";
import { createCatalogue } from "./catalogue.ts";
import { chooseLanguage, LANGUAGES, type Dictionary, type Language } from "./language.ts";

type Value = string | Record<string, string>;
const sections = JSON.parse(
  readFileSync(new URL("./strings.json", import.meta.url), "utf8"),
) as Record<string, Record<string, Record<string, Value>>>;
const languages = Object.keys(LANGUAGES) as Language[];
const entries = Object.entries(sections).flatMap(([section, keys]) =>
  Object.entries(keys).map(([key, value]) => [`${section}.${key}`, value] as const),
);

function dictionary(language: Language): Dictionary {
  return Object.fromEntries(entries.map(([key, value]) => [key, value[language]])) as Dictionary;
}

const placeholders = (text: string) =>
  [...new Set([...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1] ?? ""))].toSorted();
const forms = (value: Value) => (typeof value === "string" ? [value] : Object.values(value));

describe("texts", () => {
  it("exist in all languages, with the same placeholders", () => {
    for (const [key, value] of entries) {
      const wanted = placeholders(forms(value["en"] ?? "").join(""));
      for (const language of languages) {
        const own = value[language];
        assert.ok(own !== undefined, `${key} in ${language}`);
        for (const form of forms(own)) {
          assert.notEqual(form.trim(), "", `${key} in ${language}`);
        }
        // A form for one thing may do without the number.
        assert.deepEqual(placeholders(forms(own).join("")), wanted, `${key} in ${language}`);
        for (const form of forms(own)) {
          assert.ok(form.includes("{n}") || !wanted.includes("n") || form !== forms(own).at(-1));
        }
      }
    }
  });

  it("have every plural form that 0 to 120 ask for", () => {
    for (const [key, value] of entries) {
      for (const language of languages) {
        const own = value[language];
        if (own === undefined || typeof own === "string") continue;
        const rules = new Intl.PluralRules(language);
        assert.ok(own["other"], `${key} in ${language}`);
        for (let n = 0; n <= 120; n++) {
          assert.ok(own[rules.select(n)], `${key} in ${language} for ${n}`);
        }
      }
    }
  });

  it("the types are made from them", () => {
    const committed = readFileSync(new URL("./messages.ts", import.meta.url), "utf8");
    assert.equal(committed, messagesFile(), "run: node scripts/message-types.ts");
  });
});

describe("the catalogue", () => {
  it("chooses the plural form and fills the text", () => {
    const { t } = createCatalogue("ru", dictionary("ru"), "Аврора");
    const said = [1, 2, 5, 21].map((n) => t("code.left", { n }));
    assert.equal(new Set(said.map((text) => text.replace(/\d+/, ""))).size, 3);
    assert.match(t("page.heading"), /«Аврора»/);
  });

  it("names menus apart, and never reads HTML", () => {
    const words = createCatalogue("en", dictionary("en"), "<b>Aurora</b>");
    assert.deepEqual(
      words.pieces("steps.linked").filter(({ menu }) => menu),
      [
        { text: "Linked devices", menu: true },
        { text: "Link a device", menu: true },
      ],
    );
    assert.ok(words.t("page.heading").includes("<b>Aurora</b>"), "as text");
    assert.equal(words.t("code.shownFor", { phone: "{company}" }), "For {company}");
  });

  it("Russian quotes inside quotes change", () => {
    const { t } = createCatalogue("ru", dictionary("ru"), "ООО «Аврора»");
    assert.match(t("page.heading"), /«ООО „Аврора“»/);
  });
});

describe("the language", () => {
  it("is the first wish that is spoken", () => {
    assert.equal(chooseLanguage([null, "de-DE", "pt-PT", "ru"]), "pt");
    assert.equal(chooseLanguage([undefined, "zz"]), "en");
  });
});
