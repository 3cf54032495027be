/** The pairing page as a pure function: what it knew and what happened → what it knows. */
import { endWith, outcomeOf } from "./attempt.ts";
import { mayPass, type Problem } from "./api.ts";
import { reduceServer } from "./reduce-server.ts";
import { isPassing, screenOf } from "./screen.ts";
import type { ServerEvent } from "./server-event.ts";
import type { PageState, PersonEvent, RequestEvent } from "./state.ts";

export type PageEvent = PersonEvent | RequestEvent | ServerEvent;

/** Work on a linked number that brought no news for so long is given up. */
const WORK_MS = 30_000;

/**
 * @param now the server's time
 * Afterwards `focusCount` has grown if the person asked for the screen that is now shown.
 */
export function reduce(state: PageState, event: PageEvent, now: number): PageState {
  const next = step({ ...state, now }, event);
  const screen = screenOf(next);
  if (!next.isAsked || screen === screenOf(state) || isPassing(screen)) return next;
  return { ...next, isAsked: false, focusCount: next.focusCount + 1 };
}

function step(state: PageState, event: PageEvent): PageState {
  switch (event.type) {
    case "tick":
      return applyTime(state);
    case "link":
      return { ...state, link: event.state };
    case "qr-requested":
      return { ...state, isQrStarting: true, isQrSpent: true };
    case "lost":
      return { ...state, lost: { why: event.why, nextTryAt: event.nextTryAt } };
    case "refused":
      return applyRefusal(state, event.action, event.problem);
    case "choose-tab":
      return {
        ...state,
        tab: event.tab,
        isTabChosen: true,
        isAsked: false,
        outcome: state.outcome?.kind === "failed" ? undefined : state.outcome,
      };
    case "show-qr":
      return {
        ...state,
        tab: "qr",
        isTabChosen: true,
        isQrOnRequest: false,
        isQrSpent: false,
        hasQrEnded: false,
        outcome: undefined,
        isAsked: true,
      };
    case "ask-code":
      return {
        ...state,
        tab: "code",
        isTabChosen: true,
        askedPhone: event.phone.replace("+", ""),
        request: { since: state.now, phone: event.phone, isJoined: false },
        attempt: state.attempt?.method === "code" ? undefined : state.attempt,
        outcome: undefined,
        fieldError: undefined,
        isWaitOver: false,
        isFormWanted: false,
        isAsked: true,
      };
    case "change-number":
      return {
        ...state,
        tab: "code",
        isTabChosen: true,
        isFormWanted: true,
        outcome: undefined,
        fieldError: undefined,
        isAsked: true,
      };
    case "edit-phone":
      return { ...state, fieldError: undefined };
    case "reconnect":
      return { ...state, work: { kind: "reconnecting", since: state.now } };
    case "ask-unlink":
      return { ...state, isUnlinkAsked: true };
    case "keep-linked":
      return { ...state, isUnlinkAsked: false };
    case "unlink":
      return {
        ...state,
        isUnlinkAsked: false,
        work: { kind: "unlinking", since: state.now },
        isAsked: true,
      };
    case "snapshot":
    case "code-answer":
    case "pairing.started":
    case "pairing.qr_issued":
    case "pairing.qr_exhausted":
    case "pairing.code_issued":
    case "pairing.code_expired":
    case "pairing.linking":
    case "pairing.passkey_required":
    case "pairing.succeeded":
    case "pairing.failed":
    case "pairing.abandoned":
    case "pairing.rate_limited":
    case "company.phone_missing":
    case "session.connecting":
    case "session.connected":
    case "session.disconnected":
    case "session.error":
    case "session.blocked":
      return reduceServer(state, event);
  }
}

function applyTime(state: PageState): PageState {
  const { now, blockedUntil, work } = state;
  let next = state;
  if (blockedUntil !== undefined && now >= blockedUntil) {
    next = { ...next, blockedUntil: undefined, isWaitOver: true, tab: "code" };
  }
  if (work && now - work.since > WORK_MS) next = { ...next, work: undefined };
  return next;
}

function applyRefusal(
  state: PageState,
  action: "qr" | "code" | "work",
  problem: Problem,
): PageState {
  const { code, status } = problem;
  const idle: PageState = {
    ...state,
    request: undefined,
    isQrStarting: action === "qr" ? false : state.isQrStarting,
    work: action === "work" ? undefined : state.work,
  };
  if (status === 401 || status === 403) return { ...idle, link: "ended" };
  switch (code) {
    case "ALREADY_CONNECTED":
      return idle;
    case "REQUEST_IN_PROGRESS":
      if (action !== "code" || !state.request) return idle;
      return { ...state, request: { ...state.request, isJoined: true } };
    case "RATE_LIMITED":
      return { ...idle, blockedUntil: pauseEnd(state, problem) };
    case "INVALID_PHONE_FORMAT":
      return { ...idle, fieldError: "invalid" };
    case "PHONE_REQUIRED":
      return { ...idle, fieldError: "empty" };
    case "PHONE_ALREADY_LINKED":
      return { ...idle, fieldError: "alreadyLinked" };
    case "WHATSAPP_REFUSED":
    case "PHONE_NOT_ON_WHATSAPP":
    case "PASSKEY_REQUIRED":
    case "PAIRING_CODE_FAILED":
    case "COMMAND_TIMEOUT":
      return endWith(idle, outcomeOf(code, { ...state, tab: action === "qr" ? "qr" : "code" }));
    default:
      return refuseFinally(idle, problem);
  }
}

/** What repeating cannot help. Anything else is for the caller to try again. */
function refuseFinally(state: PageState, problem: Problem): PageState {
  if (mayPass(problem)) return state;
  const { code, reference } = problem;
  const why = code === "COMPANY_DISABLED" ? "off" : "other";
  return endWith(state, { kind: "refused", why, reference: reference ?? null });
}

function pauseEnd(state: PageState, { until, retryAfterSeconds }: Problem): number {
  return until ?? state.now + (retryAfterSeconds ?? 60) * 1_000;
}
