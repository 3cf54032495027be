/** What is written about pairing beside a running attempt. */
import { companyPhoneMissing, pairingFailed } from "@manyline/contracts";
import {
  endOrphanAttempts,
  markPhoneMissing,
  type CommandRow,
  type OwnedNumber,
} from "@manyline/db";
import type { NumberJournal } from "./journal.ts";

/** Attempts that a former owner left half done are ended. */
export async function endOrphans(journal: NumberJournal): Promise<void> {
  await journal.commit(async (entry) => {
    const orphans = await endOrphanAttempts(entry.tx, journal.fence);
    for (const orphan of orphans) {
      entry.emit(pairingFailed, { attemptId: orphan.attemptId, code: "UNAVAILABLE" });
    }
  });
}

/** Nobody can be asked for a link without a phone: the company is told, once until it gives one. */
export async function askForPhone(
  journal: NumberJournal,
  { companyNo, numberId }: OwnedNumber,
  { commandId }: CommandRow,
  isMissing: boolean,
): Promise<void> {
  await journal.commit(async (entry) => {
    const asked = isMissing && (await markPhoneMissing(entry.tx, companyNo));
    if (asked) entry.emit(companyPhoneMissing, { numberId });
    await entry.finish(commandId, { state: "done", result: { asked } });
  });
}
