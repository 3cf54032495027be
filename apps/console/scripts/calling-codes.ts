/**
 * Makes src/phone-number/calling-codes.ts from libphonenumber's metadata: for each country its calling
 * code, the lengths a mobile, fixed or internet number can have, the prefix for calls inside the country,
 * how a mobile number is grouped, and the digits that tell it from others with the same calling code.
 * The full metadata is too large for the page; the full check is the gateway's.
 * Run it after an update of libphonenumber-js: `node scripts/calling-codes.ts`.
 */
import { writeFileSync } from "node:fs";
import { getCountries, getExampleNumber, Metadata } from "libphonenumber-js/max";
import type { CountryCode } from "libphonenumber-js/max";
import examples from "libphonenumber-js/examples.mobile.json";

/** The parts of the metadata that the package's own types leave out. */
type Plan = {
  callingCode(): string;
  possibleLengths(): number[];
  /** the number 0 stands for "none" */
  nationalPrefix(): string | 0 | undefined;
  leadingDigits(): string | 0 | undefined;
  type(name: string): { possibleLengths(): number[] } | undefined;
};
type WithPlan = Metadata & {
  numberingPlan: Plan;
  getCountryCodesForCallingCode(code: string): CountryCode[];
};

const KINDS = ["MOBILE", "FIXED_LINE", "FIXED_LINE_OR_MOBILE", "VOIP", "PERSONAL_NUMBER"];

/** `900 123-45-67` → `3 3-2-2`. */
function grouping(country: CountryCode, callingCode: string): string {
  const text = getExampleNumber(country, examples)?.formatInternational() ?? "";
  return text.slice(callingCode.length + 2).replaceAll(/\d+/g, (digits) => String(digits.length));
}

/** `8`, or nothing where none exists. A list of alternatives is not a prefix a person would recognise. */
function plainPrefix(prefix: string | 0 | undefined): string {
  return typeof prefix === "string" && /^\d+$/.test(prefix) ? prefix : "";
}

/** The whole generated file. Exported for the test that compares it with the committed one. */
export function callingCodesFile(): string {
  const metadata = new Metadata() as WithPlan;
  const rows = getCountries().map((country) => {
    metadata.selectNumberingPlan(country);
    const plan = metadata.numberingPlan;
    const code = plan.callingCode();
    const kinds = KINDS.flatMap((kind) => plan.type(kind)?.possibleLengths() ?? []);
    const lengths = [...new Set(kinds.length > 0 ? kinds : plan.possibleLengths())];
    const sharing = metadata.getCountryCodesForCallingCode(code);
    return {
      country,
      isMain: sharing[0] === country,
      row: [
        country,
        code,
        lengths.toSorted((a, b) => a - b).join(","),
        plainPrefix(plan.nationalPrefix()),
        grouping(country, code),
        sharing[0] === country ? "" : plan.leadingDigits() || "?",
      ].join(";"),
    };
  });
  const ordered = rows.toSorted(
    (a, b) => Number(b.isMain) - Number(a.isMain) || a.country.localeCompare(b.country, "en"),
  );
  return [
    "/** Made by scripts/calling-codes.ts from libphonenumber's metadata; do not edit. */",
    "// country;calling code;lengths;prefix inside the country;grouping;leading digits of a sharer (? = unknown)",
    "// Of several countries with one calling code the main one comes first.",
    `export const CALLING_CODES = \`\n${ordered.map(({ row }) => row).join("\n")}\n\`;`,
    "",
  ].join("\n");
}

if (import.meta.main) {
  writeFileSync(
    new URL("../src/phone-number/calling-codes.ts", import.meta.url),
    callingCodesFile(),
  );
}
