/**
 * The page's own texts and languages. It shares no script with the pairing page but the framework: what two pages share
 * is a file of its own, and the pairing page is not to fetch more of them.
 */
import type { Capability, Engine, Reason } from "@manyline/contracts/capabilities";
import type { Language } from "../strings/language.ts";

export type WordKey =
  | `page.${"title" | "lead" | "language" | "capability" | "yes" | "no"}`
  | `engine.${Engine}`
  | `what.${Capability}`
  | `reason.${Reason}`;
export type Words = Readonly<Record<WordKey, string>>;

const LOADERS: Record<Language, () => Promise<{ default: unknown }>> = {
  en: () => import("./capabilities.json?language=en"),
  ru: () => import("./capabilities.json?language=ru"),
  es: () => import("./capabilities.json?language=es"),
  pt: () => import("./capabilities.json?language=pt"),
};

export const LANGUAGE_CODES = Object.keys(LOADERS) as Language[];

/** By its own name. */
export function nameOf(language: Language): string {
  return new Intl.DisplayNames(language, { type: "language" }).of(language) ?? language;
}

/** The first wish that is spoken; `pt-BR` is `pt`. */
export function firstSpoken(wishes: readonly (string | null)[]): Language {
  const bases = wishes.map((wish) => wish?.toLowerCase().split(/[-_]/)[0]);
  return bases.flatMap((base) => LANGUAGE_CODES.find((code) => code === base) ?? [])[0] ?? "en";
}

export async function loadWords(language: Language): Promise<Words> {
  const { default: words } = await LOADERS[language]();
  return words as Words;
}
