import type { Messages } from "./messages.ts";

/** The page's languages, each by its own name. English is the last resort. */
export const LANGUAGES = {
  en: "English",
  ru: "Русский",
  es: "Español",
  pt: "Português",
} as const;
export type Language = keyof typeof LANGUAGES;

/** A text, or its plural forms by the categories of `Intl.PluralRules`. */
export type Message = string | Partial<Record<Intl.LDMLPluralRule, string>>;
export type MessageKey = keyof Messages;
/** All texts of one language. */
export type Dictionary = Record<MessageKey, Message>;

export function isLanguage(text: string): text is Language {
  return Object.hasOwn(LANGUAGES, text);
}

/**
 * The first wish that we speak: `?lang=`, else what was chosen before, else the browser's list, else
 * the company's language, else English. Regions are ignored: `pt-PT` is `pt`.
 */
export function chooseLanguage(wishes: readonly (string | null | undefined)[]): Language {
  for (const wish of wishes) {
    const base = wish?.toLowerCase().split(/[-_]/)[0] ?? "";
    if (isLanguage(base)) return base;
  }
  return "en";
}
