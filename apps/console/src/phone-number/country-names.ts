import { COUNTRIES, type Country } from "./countries.ts";

export type NamedCountry = { country: Country; name: string; searchable: string };

/** All countries by their names in a language, in its alphabetical order. */
export function namedCountries(language: string): NamedCountry[] {
  const names = new Intl.DisplayNames([language], { type: "region", fallback: "code" });
  const collator = new Intl.Collator(language);
  return COUNTRIES.map((country) => {
    const name = names.of(country.id) ?? country.id;
    return { country, name, searchable: plain(name) };
  }).toSorted((a, b) => collator.compare(a.name, b.name));
}

/** The name of one country in a language. */
export function countryName(country: Country, language: string): string {
  const names = new Intl.DisplayNames([language], { type: "region", fallback: "code" });
  return names.of(country.id) ?? country.id;
}

/**
 * Countries whose name has the typed letters (those that start with them first), or whose calling code
 * starts with the typed digits, or whose code of two letters is typed. Nothing typed: all.
 */
export function matchCountries(countries: readonly NamedCountry[], typed: string): NamedCountry[] {
  const text = plain(typed.trim());
  const digits = /^\+?\d+$/.test(text) ? text.replace("+", "") : undefined;
  if (text === "" || text === "+") return [...countries];
  if (digits !== undefined)
    return countries.filter(({ country }) => country.code.startsWith(digits));
  const starts = countries.filter(
    ({ searchable, country }) => searchable.startsWith(text) || country.id.toLowerCase() === text,
  );
  const holds = countries.filter(
    (each) => each.searchable.includes(text) && !starts.includes(each),
  );
  return [...starts, ...holds];
}

/** Small letters without accents. */
function plain(text: string): string {
  return text.normalize("NFD").replaceAll(/\p{M}/gu, "").toLowerCase();
}
