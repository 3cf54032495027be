import { ManylineError } from "@manyline/contracts";
import { isUnavailable, withCompany } from "@manyline/db";
import type { NumberRow } from "@manyline/db";
import type { QueuedCommand } from "./command-runner.ts";
import type { Deps } from "./deps.ts";

/** Removing waits so long, for all numbers together, for WhatsApp to be told. */
const DEADLINE_MS = 8_000;
/** So many results are waited for at a time: a company may have 500 numbers, and each looks into the database. */
const AT_A_TIME = 5;

/**
 * Logs linked numbers of one company out at WhatsApp before they are removed; the numbers whose logout it
 * confirmed, by number_no. Nothing that goes wrong here keeps a number from being removed, except that
 * the database cannot be asked.
 */
export async function logOut(
  deps: Pick<Deps, "appDb" | "commands" | "clock">,
  numbers: readonly NumberRow[],
): Promise<ReadonlySet<number>> {
  const told = new Set<number>();
  const linked = numbers.filter(({ isLinked }) => isLinked);
  const [first] = linked;
  if (!first) return told;
  const deadline = deps.clock.monotonic() + DEADLINE_MS;
  const waiting = await enqueueAll(deps, first.companyNo, linked);
  await Promise.all(
    Array.from({ length: AT_A_TIME }, async () => {
      for (let next = waiting.shift(); next; next = waiting.shift()) {
        const deadlineMs = Math.max(0, deadline - deps.clock.monotonic());
        if (await isTold(deps, { ...next.command, deadlineMs })) told.add(next.numberNo);
      }
    }),
  );
  return told;
}

type Waiting = { readonly numberNo: number; readonly command: QueuedCommand };

/** All or none: numbers of one company have one owner. */
async function enqueueAll(
  { appDb, commands }: Pick<Deps, "appDb" | "commands">,
  companyNo: number,
  numbers: readonly NumberRow[],
): Promise<Waiting[]> {
  try {
    return await withCompany(appDb, companyNo, async (tx) => {
      const queued: Waiting[] = [];
      for (const number of numbers) {
        const command = await commands.enqueue(
          tx,
          number,
          "unlink",
          {},
          { deadlineMs: DEADLINE_MS },
        );
        queued.push({ numberNo: number.numberNo, command });
      }
      return queued;
    });
  } catch (error) {
    if (error instanceof ManylineError && error.code === "NO_OWNER") return [];
    throw error;
  }
}

async function isTold(
  { commands }: Pick<Deps, "commands">,
  command: QueuedCommand,
): Promise<boolean> {
  try {
    return (await commands.result(command))["told"] === true;
  } catch (error) {
    if (isUnavailable(error)) throw error;
    return false;
  }
}
