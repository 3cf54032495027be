/** The eight characters of a pairing code, as they are typed or pasted. Pure. */

export const CODE_LENGTH = 8;

/** Crockford's alphabet without 0, I, O, U: WhatsApp's codes hold nothing else. */
const ALLOWED = /[1-9A-HJ-NP-TV-Z]/g;

/** `k7wm-3xqp ` → `K7WM3XQP`: capitals, without dash and blanks, at most eight. */
export function readCode(text: string): string {
  return (text.toUpperCase().match(ALLOWED) ?? []).join("").slice(0, CODE_LENGTH);
}

/** Each cell's character, empty where none is typed yet. */
export function cellsOf(code: string): string[] {
  return Array.from({ length: CODE_LENGTH }, (_, index) => code[index] ?? "");
}
