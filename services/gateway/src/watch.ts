import { PAIRING } from "@manyline/contracts";
import { watchPairing } from "@manyline/db";
import type { Executor } from "@manyline/db";
import type { Clock } from "@manyline/runtime";

/** Below this a page that polls every 2 s would lose its attempt, however short the timers are. */
const LEAST_WATCH_MS = 5_000;

/** How long a look at a pairing keeps its attempt alive, in real milliseconds. */
export function watchMs(clock: Clock): number {
  return Math.max(LEAST_WATCH_MS, clock.scaled(PAIRING.unwatchedMs));
}

/** Somebody with the right to see it looks at the number's pairing. Writes at most every third of its time. */
export async function watchNumber(
  executor: Executor,
  clock: Clock,
  number: { companyNo: number; numberNo: number },
): Promise<void> {
  await watchPairing(executor, number.companyNo, number.numberNo, Math.round(watchMs(clock)));
}
