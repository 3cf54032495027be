/** When a number has been away long enough for somebody to be told. Pure. */
import type { SessionReason, SessionStatus } from "../session.ts";
import { NOTICE_FIGURES } from "./rules.ts";
import type { LossReason } from "./texts/shape.ts";

/** What is remembered of a number: since when it is away and, at last, why. */
export type Loss = { since: Date; reason: SessionReason };

export type SessionChange = {
  status: SessionStatus;
  reason: SessionReason;
  previousStatus: SessionStatus | null;
  since: Date;
};

/** Somebody of ours did it, or links it just now: no news. */
const WANTED: ReadonlySet<SessionReason> = new Set([
  "unlinked",
  "switched_off",
  "not_linked",
  "pairing",
  "rate_limited",
]);

/** No machine brings these back: waiting longer helps nobody. */
const FINAL: ReadonlySet<SessionReason> = new Set([
  "logged_out",
  "locked",
  "temp_ban",
  "replaced",
  "token_refused",
  "multidevice",
]);

/**
 * The loss after a change. A loss begins when a connected number is connected no more, keeps its begin while the
 * number tries, and is over when it is connected, or when a person links it anew or switches it off.
 */
export function stepLoss(loss: Loss | undefined, change: SessionChange): Loss | undefined {
  const { status, reason, previousStatus, since } = change;
  if (status === "connected" || WANTED.has(reason)) return undefined;
  if (loss) return { ...loss, reason };
  const wasConnected = previousStatus === "connected";
  return wasConnected || FINAL.has(reason) ? { since, reason } : undefined;
}

/** From when on it is told. `lossMs`: 5 minutes unless set otherwise. */
export function lossToldAt({ since, reason }: Loss, lossMs: number = NOTICE_FIGURES.lossMs): Date {
  return FINAL.has(reason) ? since : new Date(since.getTime() + lossMs);
}

/** Whether it is news to somebody who was told of this loss with another reason. */
export function isWorse(reason: SessionReason, toldReason: SessionReason): boolean {
  return FINAL.has(reason) && lossReasonOf(reason) !== lossReasonOf(toldReason);
}

const WORDS: Partial<Record<SessionReason, LossReason>> = {
  logged_out: "logged_out",
  opening: "connection_lost",
  reconnecting: "connection_lost",
  no_owner: "ours",
  client_outdated: "ours",
  client_refused: "ours",
  untrusted_server: "ours",
  not_confirmed: "ours",
  replaced: "replaced",
  token_refused: "token_expired",
  locked: "locked",
  temp_ban: "locked",
  multidevice: "locked",
  passkey_required: "passkey_required",
};

export function lossReasonOf(reason: SessionReason): LossReason {
  return WORDS[reason] ?? "unknown";
}
