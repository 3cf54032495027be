/**
 * Phone numbers. Inside the product a phone is E.164 digits without the plus (`79001234567`), as WhatsApp
 * uses them; people see the international form.
 */
import {
  getCountryCallingCode,
  isSupportedCountry,
  parsePhoneNumberFromString,
} from "libphonenumber-js/max";
import type { CountryCode as Country } from "libphonenumber-js/max";

declare const phoneBrand: unique symbol;
/** E.164 digits, no plus. */
export type Phone = string & { readonly [phoneBrand]: true };

/**
 * Reads a number as a person types it: `+…`, `00…`, spaces, dashes, brackets, full-width and other decimal
 * digits. Without a plus it is read as an international number if it begins with the code of the company's
 * country (which is never guessed), else as a national number of that country, then the other way; an 11-digit Russian or Kazakh number with a leading 8 is +7.
 * Returns undefined for anything that is no valid number.
 */
export function parsePhone(text: string, country?: string | null): Phone | undefined {
  const plain = text
    .normalize("NFKC")
    .replaceAll(/\p{Nd}/gu, decimalDigit)
    .trim();
  if (plain.length > 40 || !/^[+\d\s().\-/\u2010-\u2015]+$/.test(plain)) return undefined;
  const compact = plain.replaceAll(/[^\d+]/g, "").replace(/^00/, "+");
  const found = readings(compact, country)
    .map(([digits, region]) => parsePhoneNumberFromString(digits, region))
    .find((reading) => reading?.isValid());
  return found ? (found.number.slice(1) as Phone) : undefined;
}

/** What the digits can mean, likeliest first. */
function readings(compact: string, country: string | null | undefined): [string, Country?][] {
  if (compact.startsWith("+")) return [[compact]];
  const russian: [string] = [`+7${compact.slice(1)}`];
  const isEight = /^8\d{10}$/.test(compact);
  if (country === "RU" || country === "KZ")
    return isEight ? [russian] : [[compact, country], [`+${compact}`]];
  if (country && isSupportedCountry(country)) {
    const national: [string, Country] = [compact, country];
    const international: [string] = [`+${compact}`];
    // Whoever writes a number with its country code and no plus means that code, not a longer national number.
    const hasCode = compact.startsWith(getCountryCallingCode(country));
    return hasCode ? [international, national] : [national, international];
  }
  return isEight ? [[`+${compact}`], russian] : [[`+${compact}`]];
}

function decimalDigit(digit: string): string {
  const code = digit.codePointAt(0) ?? 0;
  // Every block of decimal digits in Unicode starts at a code point that is 0 or 6 modulo 16.
  for (let value = 0; value < 10; value++) {
    const zero = code - value;
    if (
      /\p{Nd}/u.test(String.fromCodePoint(zero)) &&
      !/\p{Nd}/u.test(String.fromCodePoint(zero - 1))
    ) {
      return String(value);
    }
  }
  return digit;
}

/** The country of a phone, e.g. `RU`, or undefined when several share the code and the number does not tell. */
export function phoneCountry(phone: Phone): Country | undefined {
  return parsePhoneNumberFromString(`+${phone}`)?.country;
}

/** International form for people: `+7 900 123 45 67`. */
export function formatPhone(phone: Phone): string {
  return parsePhoneNumberFromString(`+${phone}`)?.formatInternational() ?? `+${phone}`;
}

/** Enough to recognise one's own number, too little to learn somebody else's: `7900•••••67`. */
export function maskPhone(phone: string): string {
  return `${phone.slice(0, 4)}${"•".repeat(Math.max(0, phone.length - 6))}${phone.slice(-2)}`;
}

/** `owner@salon.example` → `o•••@salon.example`. */
export function maskEmail(email: string): string {
  const at = email.lastIndexOf("@");
  return at < 1 ? "•••" : `${email.slice(0, 1)}•••${email.slice(at)}`;
}
