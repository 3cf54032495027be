import { isUnavailable } from "../errors.ts";

/**
 * What many ask for at the same moment, in one go: the way to the database costs more than what is written. In the
 * order of `items`: a result, or why there is none. What Postgres refuses is tried one by one, so that whatever is
 * wrong with one leaves the others alone.
 * @throws when Postgres is away
 */
export async function togetherOrAlone<Item, Result>(
  items: readonly Item[],
  work: (items: readonly Item[]) => Promise<(Result | Error)[]>,
): Promise<(Result | Error)[]> {
  try {
    return await work(items);
  } catch (error) {
    if (isUnavailable(error)) throw error;
    if (items.length === 1) {
      return [error instanceof Error ? error : new Error("not written", { cause: error })];
    }
    const alone: (Result | Error)[] = [];
    for (const item of items) alone.push(...(await togetherOrAlone([item], work)));
    return alone;
  }
}
