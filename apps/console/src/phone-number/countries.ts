import { CALLING_CODES } from "./calling-codes.ts";

/** What the page knows of a country's numbers. */
export type Country = {
  /** ISO 3166 code, e.g. `RU` */
  id: string;
  /** calling code without plus, e.g. `7` */
  code: string;
  /** possible lengths of the national part, ascending */
  lengths: number[];
  /** typed before the number inside the country, e.g. `8`; empty where none exists */
  prefix: string;
  /** groups of digits of a mobile number, e.g. `3 3 2 2` */
  grouping: string;
  /** what the national part starts with, where the calling code is shared and this tells */
  leading: RegExp | undefined;
};

/** All countries with telephone numbers. Of several with one calling code the main one comes first. */
export const COUNTRIES: readonly Country[] = CALLING_CODES.trim().split("\n").map(readRow);

const BY_ID = new Map(COUNTRIES.map((country) => [country.id, country]));

export function countryById(id: string | null | undefined): Country | undefined {
  return BY_ID.get(id ?? "");
}

/**
 * The country of an international number.
 * @param digits without plus
 * @param preferred wins where several countries share the calling code and the digits do not tell
 */
export function countryOfDigits(digits: string, preferred?: Country): Country | undefined {
  const sharing = COUNTRIES.filter(({ code }) => digits.startsWith(code));
  const national = digits.slice(sharing[0]?.code.length ?? 0);
  const told = sharing.find(({ leading }) => leading?.test(national));
  if (told) return told;
  return sharing.find((country) => country === preferred && !country.leading) ?? sharing[0];
}

/**
 * The country to start with: of the company's phone, its stored country, its time zone, the browser's
 * region, or none: then a choice is required.
 */
export function defaultCountry(hints: {
  phone: string | null;
  country: string | null;
  timezone: string;
  locales: readonly string[];
}): Country | undefined {
  const stored = countryById(hints.country);
  if (hints.phone) return countryOfDigits(hints.phone, stored);
  return stored ?? countryOfTimezone(hints.timezone) ?? countryOfLocales(hints.locales);
}

/** @returns undefined for zones of several countries or none, and in browsers without the data */
function countryOfTimezone(timezone: string): Country | undefined {
  if (!timezone.includes("/")) return undefined;
  const matches = COUNTRIES.filter(({ id }) => zonesOf(id).includes(timezone));
  return matches.length === 1 ? matches[0] : undefined;
}

function zonesOf(region: string): readonly string[] {
  const locale: Intl.Locale & { getTimeZones?: () => string[] | undefined } = new Intl.Locale(
    `und-${region}`,
  );
  return locale.getTimeZones?.() ?? [];
}

function countryOfLocales(locales: readonly string[]): Country | undefined {
  for (const name of locales) {
    const region = /[-_]([A-Z]{2})\b/.exec(name)?.[1];
    const country = countryById(region);
    if (country) return country;
  }
  return undefined;
}

function readRow(row: string): Country {
  const [id = "", code = "", lengths = "", prefix = "", grouping = "", leading = ""] =
    row.split(";");
  return {
    id,
    code,
    lengths: lengths.split(",").map(Number),
    prefix,
    grouping,
    leading: leading && leading !== "?" ? new RegExp(`^(?:${leading})`) : undefined,
  };
}
