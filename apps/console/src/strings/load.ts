import type { Dictionary, Language } from "./language.ts";

/** Each language is a file of its own, fetched when it is spoken. */
const LOADERS: Record<Language, () => Promise<{ default: unknown }>> = {
  en: () => import("./strings.json?language=en"),
  ru: () => import("./strings.json?language=ru"),
  es: () => import("./strings.json?language=es"),
  pt: () => import("./strings.json?language=pt"),
};

export async function loadDictionary(language: Language): Promise<Dictionary> {
  const { default: dictionary } = await LOADERS[language]();
  return dictionary as Dictionary;
}
