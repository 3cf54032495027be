/** The one commit of a link: credentials, the end of the attempt, its event and the status, all or nothing. */
import {
  pairingSucceeded,
  type AttemptId,
  type PairingMethod,
  type Phone,
} from "@manyline/contracts";
import {
  eraseAuth,
  isPhoneLinkedElsewhere,
  lockLinking,
  updateAttempt,
  writeAuth,
} from "@manyline/db";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";

/** The phone is linked to another number of the company; nothing was stored. */
export class PhoneTaken extends Error {
  override readonly name = "PhoneTaken";

  constructor() {
    super("this phone is linked to another number of the company");
  }
}

/** How long the commit may wait for Postgres; the phone waits too. */
const PATIENCE_MS = 15_000;

export async function recordLink(
  context: WorkerContext,
  journal: NumberJournal,
  link: {
    attemptId: AttemptId;
    method: PairingMethod;
    phone: Phone;
    credentials: Buffer;
    /** Commands that waited for a code. */
    waiting: readonly string[];
  },
): Promise<void> {
  const { fence } = journal;
  const { attemptId, method, phone } = link;
  await journal.commit(async (entry) => {
    await lockLinking(entry.tx, fence.companyNo);
    if (await isPhoneLinkedElsewhere(entry.tx, fence.companyNo, fence.numberNo, phone)) {
      throw new PhoneTaken();
    }
    await eraseAuth(entry.tx, fence);
    await writeAuth(entry.tx, context.keyring, fence, { creds: link.credentials });
    await updateAttempt(entry.tx, context.keyring, fence, attemptId, {
      state: "ended",
      outcome: "succeeded",
      phone,
      endedAt: context.clock.now(),
      secret: null,
    });
    const otherPhone = journal.phone !== null && journal.phone !== phone;
    entry.emit(pairingSucceeded, { attemptId, method, phone, otherPhone });
    await entry.setStatus("connecting", "opening", { phone });
    for (const commandId of link.waiting) {
      await entry.finish(commandId, { state: "failed", error: { code: "ALREADY_CONNECTED" } });
    }
  }, PATIENCE_MS);
}
