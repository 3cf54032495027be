import { countryOfDigits, type Country } from "./countries.ts";
import { formatPhone } from "./format.ts";

/** What is wrong with a typed number, for a text under the field. */
export type PhoneProblem =
  | { kind: "empty" | "characters" | "country" }
  | { kind: "short" | "long"; n: number; country: Country };

/** What the page read differently from what was typed, to be said to the person. */
export type PhoneRemark =
  | { kind: "eight"; phone: string }
  | { kind: "countryChanged"; country: Country };

export type ReadPhone = {
  country: Country | undefined;
  /** digits of the national part, without the prefix used inside the country */
  national: string;
  remark?: PhoneRemark;
  problem?: PhoneProblem;
};

const ALLOWED = /^[+\d\s().\-/\u2010-\u2015\u2060\u200e\u200f\u202a-\u202e]*$/u;

/**
 * Reads a number as a person types or pastes it: `+…`, `00…`, spaces, dashes, brackets, full-width and other
 * decimal digits. An international number switches the country and says so; a Russian 8… of eleven digits is
 * read as +7. Only calling codes and lengths are checked here, the rest by the server.
 */
export function readPhone(text: string, chosen: Country | undefined): ReadPhone {
  const plain = toAsciiDigits(text.normalize("NFKC")).trim();
  const nothing = { country: chosen, national: "" };
  if (plain === "") return { ...nothing, problem: { kind: "empty" } };
  if (!ALLOWED.test(plain)) return { ...nothing, problem: { kind: "characters" } };
  const compact = plain.replaceAll(/[^\d+]/g, "");
  if (compact === "" || compact.lastIndexOf("+") > 0)
    return { ...nothing, problem: { kind: "characters" } };
  const international = /^(?:\+|00)(\d*)$/.exec(compact)?.[1];
  if (international !== undefined) return readInternational(international, chosen);
  return readNational(compact, chosen);
}

/** `+79001234567`, or undefined while something is wrong. */
export function phoneToSend(read: ReadPhone): string | undefined {
  return read.problem || !read.country ? undefined : `+${read.country.code}${read.national}`;
}

function readInternational(digits: string, chosen: Country | undefined): ReadPhone {
  const country = countryOfDigits(digits, chosen);
  if (!country) return { country: chosen, national: digits, problem: { kind: "country" } };
  const read = checked(digits.slice(country.code.length), country);
  if (country === chosen || read.problem) return read;
  return { ...read, remark: { kind: "countryChanged", country } };
}

function readNational(digits: string, chosen: Country | undefined): ReadPhone {
  if (!chosen) return { country: chosen, national: digits, problem: { kind: "country" } };
  if (chosen.code === "7" && /^8\d{10}$/.test(digits)) {
    const national = digits.slice(1);
    return {
      country: chosen,
      national,
      remark: { kind: "eight", phone: formatPhone(`7${national}`) },
    };
  }
  const { prefix, code } = chosen;
  const isPossible = (national: string): boolean => chosen.lengths.includes(national.length);
  if (!isPossible(digits)) {
    // Some people type the prefix used inside the country, others the calling code without its plus.
    for (const start of [prefix, code]) {
      const rest = digits.slice(start.length);
      if (start && digits.startsWith(start) && isPossible(rest)) return checked(rest, chosen);
    }
  }
  if (prefix === "0" && digits.startsWith("0") && isPossible(digits.slice(1)))
    return checked(digits.slice(1), chosen);
  return checked(digits, chosen);
}

function checked(national: string, country: Country): ReadPhone {
  const { length } = national;
  if (country.lengths.includes(length)) return { country, national };
  const longer = country.lengths.find((possible) => possible > length);
  const problem: PhoneProblem =
    longer === undefined
      ? { kind: "long", n: length - (country.lengths.at(-1) ?? length), country }
      : { kind: "short", n: longer - length, country };
  return { country, national, problem };
}

/** Arabic-Indic, Devanagari … digits as 0 to 9. Every such block starts at a code point that holds its zero. */
function toAsciiDigits(text: string): string {
  return text.replaceAll(/\p{Nd}/gu, (digit) => {
    const code = digit.codePointAt(0) ?? 0;
    for (let value = 0; value < 10; value++) {
      const isZero = !/\p{Nd}/u.test(String.fromCodePoint(code - value - 1));
      if (isZero) return String(value);
    }
    return digit;
  });
}
