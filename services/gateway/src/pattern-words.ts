/** What a schema's pattern asks for, in words: nobody who reads an answer should have to read a regular expression. */

const NAMES: ReadonlyMap<string, string> = new Map([
  ["^https?://[^\\s\\p{Cc}\\p{Cs}]+$", "must be an http or https address without spaces"],
  ["^[^\\s@\\p{Cc}\\p{Cs}]+@[^\\s@\\p{Cc}\\p{Cs}]+$", "must be an email address"],
  ["^[A-Z]{2}$", "must be a country by its two capital letters, such as DE"],
  ["^[\\x21-\\x7e]{1,255}$", "must be 1 to 255 ASCII characters without spaces"],
  ["^[\\x21-\\x7e][\\x20-\\x7e]*$", "must be ASCII characters"],
  ["^[^\\p{Cc}\\p{Cs}/\\\\]+$", "must not contain slashes or control characters"],
  ["^[^\\s\\p{Cc}\\p{Cs}]+$", "must not contain spaces or control characters"],
  [
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]{8,15}Z$",
    "must be a time in UTC, such as 2026-11-21T12:00:00Z",
  ],
  ["^([1-9][0-9]?|[1-4][0-9]{2}|500)$", "must be a whole number from 1 to 500"],
]);
const ID = /^\^([a-z]{3})_\[0-9a-f\]\{32\}\$$/;
const WITHOUT_CONTROLS = /^\^\[\^[^\]]*\][*+]\$$/;

/** `must …`, to stand behind the name of a field. */
export function wordsOfPattern(pattern: string): string {
  const known = NAMES.get(pattern);
  if (known !== undefined) return known;
  const prefix = ID.exec(pattern)?.[1];
  if (prefix !== undefined) {
    return `must be an id that begins with ${prefix}_, as it was given to you`;
  }
  if (WITHOUT_CONTROLS.test(pattern)) {
    return "must not contain control characters or halves of characters";
  }
  if (/^\^(\(\?!|\[A-Za-z0-9_-\])/.test(pattern))
    return "must be letters, digits, _ or -, at most 64";
  return "must be as it was given to you";
}
