/** How a sending ended, and what follows from it. Pure. */
import { nextTry, type NoticeKind } from "@manyline/contracts/notices";
import type { NotificationFate } from "@manyline/db";

/**
 * `wrong_address`: nobody is there. `unauthorised`: our account is refused. `untrusted`: it cannot prove
 * who it is, so it got nothing. `throttled`: too much at once. `down`: the
 * provider did not take it. `refused`: it never will. `unclear`: it may have taken it and could not say so.
 */
export type SendOutcome =
  | "sent"
  | "wrong_address"
  | "unauthorised"
  | "untrusted"
  | "throttled"
  | "down"
  | "refused"
  | "unclear"
  | "not_configured";

/** `code`: the provider's own word for it. */
export type SendResult = { outcome: SendOutcome; code: string | null; retryAfterMs?: number };

const FINAL: ReadonlySet<SendOutcome> = new Set(["wrong_address", "refused", "not_configured"]);

/** Of these at most one: what may have arrived is sent once more, marked, and then never again. */
const UNSURE: ReadonlySet<string> = new Set(["unclear", "unknown"]);

export type Sending = {
  kind: NoticeKind;
  isUrgent: boolean;
  /** How the tries before went. */
  before: readonly { outcome: string }[];
  expiresAt: Date;
  now: Date;
};

/** Whether so many tries may have arrived that there must be no other. */
export function isWornOut(before: readonly { outcome: string }[]): boolean {
  return before.filter(({ outcome }) => UNSURE.has(outcome)).length >= 2;
}

export function fateOf(result: SendResult, sending: Sending): NotificationFate {
  const { outcome, retryAfterMs = 0 } = result;
  const { kind, isUrgent, before, expiresAt, now } = sending;
  if (outcome === "sent") return { state: "sent" };
  if (FINAL.has(outcome)) return { state: "failed" };
  // Somebody has to set it right; a login that is refused again and again gets the account locked.
  if ((outcome === "unauthorised" || outcome === "untrusted") && isUrgent)
    return { state: "failed" };
  const isRepeat = UNSURE.has(outcome);
  if (isRepeat && isWornOut([...before, result])) return { state: "failed" };
  const at = nextTry(kind, before.length + 1, now, expiresAt);
  const inMs = Math.max(retryAfterMs, (at?.getTime() ?? 0) - now.getTime());
  if (at === undefined || now.getTime() + inMs >= expiresAt.getTime()) return { state: "failed" };
  return { state: "waiting", inMs, isRepeat };
}

/** What an HTTP status says where a provider says no more. */
export function outcomeOfStatus(status: number): SendOutcome {
  if (status >= 200 && status < 300) return "sent";
  if (status === 401 || status === 403) return "unauthorised";
  if (status === 429) return "throttled";
  if (status === 408 || status >= 500) return "down";
  return "refused";
}
