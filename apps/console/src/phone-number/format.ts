import { countryOfDigits, type Country } from "./countries.ts";

const NO_BREAK_SPACE = "\u00a0";

/** `79001234567` → `+7 900 123 45 67` with spaces that do not break. Unknown shapes go in groups of three. */
export function formatPhone(digits: string): string {
  const country = countryOfDigits(digits);
  if (!country) return `+${digits}`;
  const national = formatNational(digits.slice(country.code.length), country);
  return `+${country.code}${NO_BREAK_SPACE}${national.replaceAll(" ", NO_BREAK_SPACE)}`;
}

/** The national part as people in the country group it: `9001234567` → `900 123 45 67`. */
export function formatNational(national: string, country: Country): string {
  const groups = country.grouping.split(/[^\d]+/).map(Number);
  const total = groups.reduce((sum, size) => sum + size, 0);
  const sizes = total === national.length ? groups : inThrees(national.length);
  const parts: string[] = [];
  let from = 0;
  for (const size of sizes) {
    parts.push(national.slice(from, from + size));
    from += size;
  }
  return parts.join(" ");
}

/** 3 3 … with a last group of two to four digits. */
function inThrees(length: number): number[] {
  const sizes: number[] = [];
  let left = length;
  while (left > 4) {
    sizes.push(3);
    left -= 3;
  }
  return [...sizes, left];
}
