/** What a table has under a word that somebody else wrote; never what objects have by nature (`__proto__`). */
export function lookUp<Value>(
  table: Readonly<Record<string, Value>>,
  word: string,
): Value | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
