import type { Dictionary, Language, Message, MessageKey } from "./language.ts";
import type { Messages, NoPlaceholders } from "./messages.ts";

/** WhatsApp's own menu names and one of our tabs: placeholders filled from the dictionary itself. */
const FROM_DICTIONARY: Record<string, MessageKey> = {
  settings: "wa.settings",
  linkedDevices: "wa.linkedDevices",
  linkDevice: "wa.linkDevice",
  linkWithPhone: "wa.linkWithPhone",
  couldNotLink: "wa.couldNotLink",
  tabCode: "page.tabCode",
};

/** Placeholders no caller has to give: the catalogue knows them. */
export const COMMON_PLACEHOLDERS: ReadonlySet<string> = new Set([
  ...Object.keys(FROM_DICTIONARY),
  "company",
]);

/** A piece of a text. `menu`: the name of something to look for on the phone, shown bold. */
export type Piece = { text: string; menu: boolean };

type Parameters<Key extends MessageKey> = Messages[Key] extends NoPlaceholders
  ? []
  : [parameters: Messages[Key]];

/** One language's texts, spoken for one company. Placeholders are replaced as text, never as HTML. */
export type Catalogue = {
  readonly language: Language;
  /** The text, in the plural form of `{n}`. */
  readonly t: <Key extends MessageKey>(key: Key, ...parameters: Parameters<Key>) => string;
  /** The text in pieces, menu names apart. */
  readonly pieces: <Key extends MessageKey>(key: Key, ...parameters: Parameters<Key>) => Piece[];
};

/** @param company its name as the company writes it; empty while it is not known */
export function createCatalogue(
  language: Language,
  dictionary: Dictionary,
  company: string,
): Catalogue {
  const plural = new Intl.PluralRules(language);
  const number = new Intl.NumberFormat(language);
  const shownCompany = innerQuotes(language, company);

  function pieces(key: MessageKey, parameters: Record<string, string | number> = {}): Piece[] {
    const message = dictionary[key];
    const template =
      typeof message === "string"
        ? message
        : (message[plural.select(Number(parameters["n"]))] ?? message.other ?? "");
    return template.split(/(\{\w+\})/).map((part) => {
      const name = /^\{(\w+)\}$/.exec(part)?.[1];
      if (name === undefined) return { text: part, menu: false };
      if (name === "company") return { text: shownCompany, menu: false };
      const own = FROM_DICTIONARY[name];
      if (own) return { text: plainText(dictionary[own]), menu: own.startsWith("wa.") };
      const value = parameters[name] ?? part;
      return { text: typeof value === "number" ? number.format(value) : value, menu: false };
    });
  }

  return {
    language,
    pieces: (key, ...[parameters]) => pieces(key, parameters),
    t: (key, ...[parameters]) =>
      pieces(key, parameters)
        .map(({ text }) => text)
        .join(""),
  };
}

/** Russian texts put the company's name in « »; quotes inside are then „ “. */
function innerQuotes(language: Language, company: string): string {
  return language === "ru" ? company.replaceAll("«", "„").replaceAll("»", "“") : company;
}

function plainText(message: Message): string {
  return typeof message === "string" ? message : (message.other ?? "");
}
