/**
 * What a WPP server says of a session, as its number's owner has asked it: stored and told by the same rules as what
 * comes by webhook, whichever of the two is first. Runs in the number's queue.
 */
import {
  type CompanyId,
  type NumberId,
  pairingAbandoned,
  type WppQr,
  type WppSessionInput,
} from "@manyline/contracts";
import { liveAttempt, noteWppSession, updateAttempt, type OwnedNumber } from "@manyline/db";
import { currentTraceparent } from "@manyline/runtime";
import type { WorkerContext } from "./context.ts";
import type { NumberJournal } from "./journal.ts";

export class ScanAttempt {
  readonly #context: WorkerContext;
  readonly #number: OwnedNumber;
  readonly #journal: NumberJournal;

  constructor(context: WorkerContext, number: OwnedNumber, journal: NumberJournal) {
    this.#context = context;
    this.#number = number;
    this.#journal = journal;
  }

  /** The number waits to be scanned. */
  get isLive(): boolean {
    return this.#isWpp && this.#journal.reason === "pairing";
  }

  get #isWpp(): boolean {
    return this.#number.provider === "wpp";
  }

  /** Its webhooks were faster: that it is connected, or waits for its scan, is no news. */
  async isToldAlready(): Promise<boolean> {
    if (!this.#isWpp) return false;
    await this.#journal.sync();
    const { isOwnWord, status, reason } = this.#journal;
    return isOwnWord && (status === "connected" || reason === "pairing");
  }

  /** The server shows this one now; the first begins an attempt. */
  async shown(qr: string, asOf: Date): Promise<void> {
    const shown: WppQr = qr.startsWith("data:") ? { image: qr } : { text: qr };
    await this.#note({ kind: "session", at: asOf, event: "qr", qr: shown });
    const { companyNo, numberNo } = this.#number;
    const attempt = await liveAttempt(this.#context.db, companyNo, numberNo);
    if (!attempt?.expiresAt) return;
    this.#context.copies.qr(this.#number, attempt.attemptId, attempt.k, attempt.expiresAt);
  }

  /** Somebody has scanned, now or before: the number is connected. False: its webhooks have said something else since. */
  async connected(asOf: Date = this.#context.clock.now()): Promise<boolean> {
    if (!this.#isWpp) return true;
    await this.#note({ kind: "session", at: asOf, event: "connected" });
    this.#context.copies.pairingEnded(this.#number);
    return this.#journal.status === "connected";
  }

  /** What its webhooks have said, for whoever asks the server. */
  get news(): "session.logged_out" | "session.changed" {
    return this.#journal.reason === "logged_out" ? "session.logged_out" : "session.changed";
  }

  /** Nobody will scan any more. Without an attempt nothing happens. */
  async end(outcome: "unused" | "cancelled" | "replaced"): Promise<void> {
    if (!this.#isWpp) return;
    const { clock, keyring, copies } = this.#context;
    const { fence } = this.#journal;
    await this.#journal.commit(async (entry) => {
      await entry.refresh();
      const live = await liveAttempt(entry.tx, fence.companyNo, fence.numberNo);
      if (!live) return;
      const { attemptId } = live;
      const patch = { state: "ended", outcome, endedAt: clock.now(), secret: null } as const;
      if (await updateAttempt(entry.tx, keyring, fence, attemptId, patch)) {
        entry.emit(pairingAbandoned, { attemptId, reason: outcome });
      }
    });
    copies.pairingEnded(this.#number);
  }

  async #note(input: WppSessionInput): Promise<void> {
    const { companyId, numberId, phone } = this.#number;
    const source = {
      fence: this.#journal.fence,
      companyId: companyId as CompanyId,
      numberId: numberId as NumberId,
      provider: "wpp" as const,
      phone,
      service: "session-worker",
      traceparent: currentTraceparent(),
    };
    await this.#journal.commit(async (entry) => {
      entry.tell(await noteWppSession(entry.tx, this.#context.keyring, source, input, 0));
      await entry.refresh();
    });
  }
}
