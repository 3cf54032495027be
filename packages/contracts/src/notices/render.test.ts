import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { LANGUAGES } from "../rest/companies.ts";
import { formatTime, type RenderedNotice, renderNotice, renderSeveral } from "./render.ts";
import { SAMPLE_CODE, sampleNotices } from "./samples.ts";
import { TEXTS } from "./texts/index.ts";
import { NOTICE_KINDS } from "./texts/shape.ts";

const golden = (name: string): URL => new URL(`../../fixtures/notices/${name}`, import.meta.url);

/** With UPDATE_GOLDEN=1 the files are written instead; look at the difference. */
function agrees(name: string, text: string): void {
  if (process.env["UPDATE_GOLDEN"] === "1") writeFileSync(golden(name), text);
  assert.equal(readFileSync(golden(name), "utf8"), text, name);
}

const asText = ({ subject, text, sms }: RenderedNotice): string =>
  `Subject: ${subject}\n\n${text}\nSMS: ${sms ?? "none"}\n`;
const placeholders = (text: string): string[] =>
  [...new Set([...text.matchAll(/\{\w+\}/g)].map(([name]) => name))].toSorted();

describe("notices", () => {
  for (const language of LANGUAGES) {
    it(`read as in the golden files, in ${language}`, () => {
      const inputs = sampleNotices(language);
      const all = inputs.map((input) => `=== ${input.kind}\n${asText(renderNotice(input))}`);
      const several = renderSeveral(inputs.slice(2), language);
      agrees(`${language}.txt`, [...all, `=== several\n${asText(several)}`].join("\n"));
      for (const input of inputs)
        agrees(`${input.kind}.${language}.html`, renderNotice(input).html);
      agrees(`several.${language}.html`, several.html);
    });
  }

  it("have the same placeholders in all languages, and no subject has room for a code or a link", () => {
    for (const kind of NOTICE_KINDS) {
      const { subject, body, sms } = TEXTS.en.notices[kind];
      for (const language of LANGUAGES) {
        const own = TEXTS[language].notices[kind];
        assert.deepEqual(placeholders(own.body.join()), placeholders(body.join()), kind);
        assert.deepEqual(placeholders(own.subject), placeholders(subject), kind);
        assert.deepEqual(placeholders(own.sms ?? ""), placeholders(sms ?? ""), kind);
        assert.doesNotMatch(own.subject, /\{(code|url)\}/);
      }
    }
  });

  it("show the code in the body and in the SMS, and in no subject", () => {
    for (const language of LANGUAGES) {
      for (const input of sampleNotices(language)) {
        // Even where somebody hands a code to another kind, or names a company after the placeholder.
        const made = renderNotice({ ...input, code: SAMPLE_CODE, company: "{code}" });
        assert.doesNotMatch(made.subject, /ABCD|EFGH/);
        const hasCode = input.kind === "pairing_code";
        for (const part of [made.text, made.html]) {
          assert.equal(part.includes("ABCD-EFGH"), hasCode, input.kind);
        }
        assert.equal(made.sms?.includes("ABCD-EFGH") ?? false, hasCode, input.kind);
        assert.doesNotMatch([made.text, made.html, made.sms].join(), /undefined|null|NaN/);
      }
    }
  });

  it("write a company's name as text, cut where room is short", () => {
    const [input] = sampleNotices("ru");
    assert.ok(input);
    const made = renderNotice({ ...input, company: `<b>${"Очень длинное имя ".repeat(8)}` });
    assert.doesNotMatch(made.html, /<b>/);
    assert.ok(made.html.includes("&lt;b&gt;"));
    assert.ok(made.subject.length < 130, made.subject);
    // One SMS in Cyrillic holds 70 characters.
    assert.ok((made.sms ?? "").length <= 70, made.sms);
  });

  it("tell times in the company's zone, with the day only when it is another", () => {
    const now = new Date("2026-11-21T21:30:00.000Z");
    const form = { language: "en" as const, timezone: "Europe/Moscow" };
    assert.equal(formatTime(new Date("2026-11-21T22:05:09.000Z"), now, form), "01:05");
    assert.equal(
      formatTime(new Date("2026-11-21T20:05:00.000Z"), now, form),
      "23:05, Nov 21, 2026",
    );
    assert.equal(
      formatTime(now, now, { ...form, timezone: "Nowhere/None", hasSeconds: true }),
      "21:30:00 UTC",
    );
  });

  it("of many are one mail, with a line for each up to 20 and the number of the others", () => {
    const [, , input] = sampleNotices("ru");
    assert.ok(input);
    const many = Array.from({ length: 1_003 }, () => input);
    const made = renderSeveral(many, "ru");
    assert.equal(made.subject, "WhatsApp: 1003 уведомления");
    assert.equal(made.text.match(/^\* /gm)?.length, 21);
    assert.ok(made.text.includes("и ещё 983"));
  });
});
