import { parseNumberId } from "@manyline/contracts";
import type { NumberId } from "@manyline/contracts";

/** The id of a stored number. Throws when the row holds something else: that is a mistake of ours. */
export function numberIdOf(row: { readonly numberId: string }): NumberId {
  const numberId = parseNumberId(row.numberId);
  if (numberId === undefined) throw new Error("a stored number has no valid id");
  return numberId;
}

/** The id of a number that may be gone by now. */
export function numberIdFrom(text: string | undefined): NumberId | null {
  return text === undefined ? null : numberIdOf({ numberId: text });
}
