/** Reading JSON that somebody else wrote: nothing here throws, whatever the value is. */

export type Json = Readonly<Record<string, unknown>>;

const NOTHING: Json = {};

/** The object, or an empty one. */
export function objectOf(value: unknown): Json {
  return isObject(value) ? value : NOTHING;
}

export function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A text that is not empty and can be stored; ids and times are numbers in what some senders write. */
export function textOf(value: unknown): string | null {
  if (typeof value === "string") return storable(value) || null;
  return typeof value === "number" || typeof value === "bigint" ? String(value) : null;
}

/** Without zero bytes and halves of characters: databases refuse them, and anybody may send them. */
function storable(text: string): string {
  return (text.includes("\0") ? text.replaceAll("\0", "") : text).toWellFormed();
}

/** The beginning of a text, no half of a character at its end. */
export function cut(text: string, length: number): string {
  return text.length > length ? text.slice(0, length).toWellFormed() : text;
}

/** No name and no word of Meta's is longer; a text of megabytes in its place would make an event too large. */
const NAME_LENGTH = 256;

export function nameOf(value: unknown): string | null {
  const text = textOf(value);
  return text === null ? null : cut(text, NAME_LENGTH);
}

/** A list; a single thing where a list belongs is a list of one. */
export function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value;
  return value === undefined || value === null ? [] : [value];
}

export function numberOf(value: unknown): number | undefined {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
}

/** The value as JSON text; undefined when it is nested too deeply to be written. */
export function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value) ?? "null";
  } catch {
    return undefined;
  }
}

const UNSTORABLE = /\\u(?:0000|d[89a-f])/;

/** What is kept as it came, but for what cannot be stored in its texts and keys; `text` as `jsonText`. */
export function keptOf(value: unknown): { value: unknown; text: string | undefined } {
  const text = jsonText(value);
  if (text === undefined || !UNSTORABLE.test(text)) return { value, text };
  // Whole characters stand in it as they are; an escape that means a half of one means half of nothing.
  const clean = text.replaceAll(/\\(?:u([0-9a-f]{4})|.)/g, (escape, hex: string | undefined) =>
    hex === "0000" ? "" : hex?.startsWith("d") ? "\ufffd" : escape,
  );
  return { value: JSON.parse(clean), text: clean };
}

/** A number of 16 digits or more outside of a text, or so it seems. */
const LONG_NUMBER = /[:,[\s]-?[0-9]{16,}/;

type ReviverContext = { source?: string };

/**
 * Parses a body. Ids that are written as numbers too large for a JavaScript number become texts of the same
 * digits; a byte order mark is skipped. Throws a SyntaxError for what is no JSON.
 */
export function parseMetaBody(body: string): unknown {
  const text = body.startsWith("\ufeff") ? body.slice(1) : body;
  if (!LONG_NUMBER.test(text)) return JSON.parse(text);
  const keepDigits = (_key: string, value: unknown, context?: ReviverContext): unknown =>
    typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value)
      ? (context?.source ?? value)
      : value;
  try {
    return JSON.parse(text, keepDigits);
  } catch (error) {
    // The reviver walks recursively: what is nested too deeply for it is read without.
    if (error instanceof RangeError) return JSON.parse(text);
    throw error;
  }
}
