/** The pairing attempt the page shows: how it begins, goes on and ends. Pure. */
import type { Outcome, PageAttempt, PageState } from "./state.ts";

/** Attempt states in which a phone can still answer, or WhatsApp is being asked. */
const LIVE: ReadonlySet<PageAttempt["state"]> = new Set([
  "starting",
  "qr",
  "requesting",
  "code",
  "linking",
]);

export function isLive(attempt: PageAttempt | undefined): boolean {
  return attempt !== undefined && LIVE.has(attempt.state);
}

export function startLinking(state: PageState, id: string, phone: string | null): PageState {
  if (isOther(state, id)) return state;
  const attempt = attemptOf(state, id, "qr");
  return {
    ...state,
    attempt: { ...attempt, state: "linking", phone: phone ?? attempt.phone, qr: undefined },
    linkingSince: state.linkingSince ?? state.now,
    request: undefined,
    outcome: undefined,
  };
}

export function endAttempt(state: PageState, id: string): PageState {
  return isOther(state, id) ? state : { ...state, attempt: undefined, isQrStarting: false };
}

/** The attempt is over and its end has a screen. */
export function endWith(state: PageState, outcome: Outcome): PageState {
  return {
    ...state,
    outcome,
    attempt: undefined,
    request: undefined,
    linkingSince: undefined,
    isQrStarting: false,
    tab: outcome.kind === "not-on-whatsapp" ? "code" : state.tab,
  };
}

/** The screen for an error code of docs/errors.md. */
export function outcomeOf(code: string, state: PageState): Outcome {
  const phone = phoneInPlay(state);
  switch (code) {
    case "WHATSAPP_REFUSED":
      return { kind: "whatsapp-wait", phone };
    case "PHONE_NOT_ON_WHATSAPP":
      return { kind: "not-on-whatsapp", phone };
    case "PASSKEY_REQUIRED":
      return { kind: "passkey", phone };
    default:
      return { kind: "failed", method: state.attempt?.method ?? state.tab, phone };
  }
}

/** The phone being linked, as far as it is known. Digits. */
export function phoneInPlay(state: PageState): string | null {
  const { attempt, request, facts } = state;
  return attempt?.phone ?? request?.phone.replace("+", "") ?? facts?.phone ?? null;
}

/** Events of an attempt that this page no longer shows change nothing. */
export function isOther(state: PageState, id: string): boolean {
  return state.attempt !== undefined && state.attempt.id !== id;
}

export function attemptOf(
  state: PageState,
  id: string,
  method: PageAttempt["method"],
): PageAttempt {
  if (state.attempt?.id === id) return state.attempt;
  return newAttempt(state, { attemptId: id, method, phone: null });
}

export function newAttempt(
  state: PageState,
  data: { attemptId: string; method: PageAttempt["method"]; phone: string | null },
): PageAttempt {
  if (state.attempt?.id === data.attemptId) return state.attempt;
  return {
    id: data.attemptId,
    method: data.method,
    state: data.method === "qr" ? "starting" : "requesting",
    k: 0,
    max: 3,
    switched: false,
    issuedAt: state.now,
    expiresAt: state.now,
    phone: data.phone,
    qr: undefined,
    code: undefined,
  };
}
