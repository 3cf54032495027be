/** Reading what the gateway answered. Its shapes are those of the contracts. */
import { ERRORS, isErrorCode } from "@manyline/contracts";
import type { Rest } from "../rest.ts";

/** A field of an answer; throws when the answer has none. */
export function fieldOf(answer: unknown, name: string): unknown {
  if (typeof answer === "object" && answer !== null) {
    const value: unknown = Object.getOwnPropertyDescriptor(answer, name)?.value;
    if (value !== undefined) return value;
  }
  throw new Error(`the gateway's answer has no ${name}`);
}

/** The list in an answer. */
export async function listFrom<T>(rest: Rest, path: string, name: string): Promise<T[]> {
  return fieldOf(await rest("GET", path), name) as T[];
}

/** What a reason means, where it is the code of an error; else the reason itself. */
export function sentenceOf(reason: string | null): string | null {
  return reason !== null && isErrorCode(reason) ? `${ERRORS[reason].title} (${reason})` : reason;
}

/** All pages of a list, or the first `most` rows. */
export async function pagesFrom<T>(
  rest: Rest,
  path: string,
  name: string,
  cursor: "after" | "before",
  most = Number.POSITIVE_INFINITY,
): Promise<T[]> {
  const found: T[] = [];
  let next: string | null = null;
  do {
    const words = new URLSearchParams({
      limit: String(Math.min(500, most - found.length)),
      ...(next === null ? {} : { [cursor]: next }),
    });
    const answer = await rest("GET", `${path}${path.includes("?") ? "&" : "?"}${words.toString()}`);
    found.push(...(fieldOf(answer, name) as T[]));
    next = fieldOf(answer, "next") as string | null;
  } while (next !== null && found.length < most);
  return found;
}
