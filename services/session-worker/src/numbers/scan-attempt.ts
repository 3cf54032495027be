/**
 * The QRs that a WPP server shows of its own accord, as one pairing attempt: the server draws them, renews them and
 * knows when it gives up. Runs in the number's queue.
 */
import {
  newAttemptId,
  pairingAbandoned,
  pairingQrIssued,
  pairingStarted,
  pairingSucceeded,
  type AttemptId,
} from "@manyline/contracts";
import { insertAttempt, updateAttempt, type OwnedNumber } from "@manyline/db";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";

/** How long a QR is shown at most that is not replaced by another. */
const QR_LIFE_MS = 60_000;
/** More than a server draws before it gives up. */
const MOST_QRS = 20;

export class ScanAttempt {
  readonly #context: WorkerContext;
  readonly #number: OwnedNumber;
  readonly #journal: NumberJournal;
  #attemptId: AttemptId | undefined;
  #k = 0;

  constructor(context: WorkerContext, number: OwnedNumber, journal: NumberJournal) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
  }

  /** A QR is shown, or has been. */
  get isLive(): boolean {
    return this.#attemptId !== undefined;
  }

  /** The server shows this one now; the first begins an attempt. */
  async shown(qr: string): Promise<void> {
    const { clock, keyring, copies } = this.#context;
    const isFirst = this.#attemptId === undefined;
    const attemptId = this.#attemptId ?? newAttemptId();
    const k = Math.min(this.#k + 1, MOST_QRS);
    const issuedAt = clock.now();
    const expiresAt = new Date(issuedAt.getTime() + QR_LIFE_MS);
    await this.#journal.commit(async (entry) => {
      const { fence } = this.#journal;
      if (isFirst) {
        const attempt = { attemptId, method: "qr", state: "starting", phone: null } as const;
        await insertAttempt(entry.tx, fence, { ...attempt, max: MOST_QRS });
        entry.emit(pairingStarted, { attemptId, method: "qr", phone: null });
        await entry.setStatus("connecting", "pairing");
      }
      const secret = { kind: "qr", value: qr } as const;
      const patch = { state: "qr", k, issuedAt, expiresAt, secret } as const;
      await updateAttempt(entry.tx, keyring, fence, attemptId, patch);
      entry.emit(pairingQrIssued, {
        attemptId,
        k,
        max: MOST_QRS,
        issuedAt: issuedAt.toISOString(),
        expiresAt: expiresAt.toISOString(),
        refreshed: false,
      });
    });
    this.#attemptId = attemptId;
    this.#k = k;
    copies.qr(this.#number, attemptId, k, expiresAt);
  }

  /** Somebody has scanned, or nobody will any more. Without an attempt nothing happens. */
  async end(outcome: "succeeded" | "unused" | "cancelled" | "replaced"): Promise<void> {
    const attemptId = this.#attemptId;
    if (attemptId === undefined) return;
    const { clock, keyring, copies } = this.#context;
    const { phone } = this.#journal;
    await this.#journal.commit(async (entry) => {
      await updateAttempt(entry.tx, keyring, this.#journal.fence, attemptId, {
        state: "ended",
        outcome,
        endedAt: clock.now(),
        secret: null,
      });
      if (outcome !== "succeeded") entry.emit(pairingAbandoned, { attemptId, reason: outcome });
      else {
        const facts = { attemptId, method: "qr" as const, otherPhone: false };
        entry.emit(pairingSucceeded, { ...facts, phone });
      }
    });
    this.#attemptId = undefined;
    this.#k = 0;
    copies.pairingEnded(this.#number);
  }
}
