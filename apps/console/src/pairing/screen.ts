/** What the page shows for what it knows. Pure; one name per row of the state table. */
import { isLive } from "./attempt.ts";
import type { PageAttempt, PageState } from "./state.ts";

/** Screens with the two ways of linking as tabs, under the page's heading. */
const TAB_SCREENS = [
  "qr-ask",
  "qr-preparing",
  "qr",
  "qr-last",
  "switching",
  "switched",
  "phone-missing",
  "entry",
  "entry-error",
  "requesting",
  "code",
  "code-ending",
  "expired",
  "not-on-whatsapp",
  "failed",
] as const;
export type TabScreen = (typeof TAB_SCREENS)[number];

/** Screens that are one statement. */
export type StatementScreen =
  | "link-invalid"
  | "link-missing"
  | "link-ended"
  | "loading"
  | "unreachable"
  | "wait"
  | "whatsapp-wait"
  | "passkey"
  | "refused"
  | "linking"
  | "connected"
  | "already"
  | "down";

export type Screen = TabScreen | StatementScreen;

/** The last seconds of a code and of the last QR are told apart. */
export const ENDING_SECONDS = 10;
/** The phone said yes, but the connection takes longer than it should. */
const LINKING_MS = 30_000;
/** The next QR comes when the last one ends; only after this the square is emptied. */
const QR_GRACE_MS = 3_000;
/** Until then loading is a matter of course. */
const SLOW_LOADING_MS = 5_000;
/** Until then WhatsApp's answer is a matter of course. */
const SLOW_REQUEST_MS = 10_000;

/** Reasons of a number that keeps its keys while it has no connection. */
const DOWN_REASONS: ReadonlySet<string> = new Set([
  "opening",
  "reconnecting",
  "replaced",
  "locked",
  "temp_ban",
  "client_outdated",
  "client_refused",
  "multidevice",
  "untrusted_server",
]);

export function screenOf(state: PageState): Screen {
  const { facts, link, outcome, attempt } = state;
  if (link !== "ok") return `link-${link}`;
  if (!facts) return state.lost ? "unreachable" : "loading";
  if (state.linkingSince !== undefined && facts.status !== "connected") {
    return state.now - state.linkingSince > LINKING_MS ? "unreachable" : "linking";
  }
  if (facts.status === "connected") {
    if (state.isLinkedHere) return "connected";
    return state.lost ? "unreachable" : "already";
  }
  if (state.work?.kind === "reconnecting") return "already";
  if (outcome && outcome.kind !== "not-on-whatsapp") return outcome.kind;
  if (isBlocked(state)) return "wait";
  if (state.lost && !isShowing(state)) return "unreachable";
  if (!isLive(attempt)) {
    if (facts.reason === "switched_off") return "refused";
    if (facts.reason === "no_owner") return "unreachable";
    if (DOWN_REASONS.has(facts.reason)) return "down";
  }
  return state.tab === "qr" ? qrScreen(state) : codeScreen(state);
}

/** Screens that only lead to the next: the focus waits for that one. */
export function isPassing(screen: Screen): boolean {
  return (
    screen === "requesting" ||
    screen === "switching" ||
    screen === "qr-preparing" ||
    screen === "loading"
  );
}

export function hasTabs(screen: Screen): screen is TabScreen {
  return (TAB_SCREENS as readonly Screen[]).includes(screen);
}

/** Should an attempt be started now? Only for a person who is looking, once, and on the QR tab. */
export function wantsQr(state: PageState, isVisible: boolean): boolean {
  return isVisible && !state.isQrStarting && screenOf(state) === "qr-preparing" && isQrDue(state);
}

export function isLoadingSlow(state: PageState): boolean {
  return state.now - state.startedAt > SLOW_LOADING_MS;
}

export function isRequestSlow(state: PageState): boolean {
  return state.request !== undefined && state.now - state.request.since > SLOW_REQUEST_MS;
}

function qrScreen(state: PageState): Screen {
  const { attempt } = state;
  if (attempt?.method === "qr" && attempt.state === "starting") return "qr-preparing";
  if (attempt?.method === "qr" && attempt.state === "qr") {
    const isLast = attempt.k >= attempt.max;
    const isOver = state.now > attempt.expiresAt + QR_GRACE_MS;
    if (!attempt.qr || isOver) return "qr-preparing";
    return isLast ? "qr-last" : "qr";
  }
  return state.isQrStarting || isQrDue(state) ? "qr-preparing" : "qr-ask";
}

function isQrDue(state: PageState): boolean {
  return !state.isQrSpent && !state.isQrOnRequest && !isLive(state.attempt) && !state.request;
}

function codeScreen(state: PageState): Screen {
  const { attempt } = state;
  if (attempt?.method === "code" && !state.isFormWanted) {
    if (attempt.state === "requesting" || attempt.state === "starting")
      return attempt.switched ? "switching" : "requesting";
    if (attempt.state === "code_expired" || state.now >= attempt.expiresAt) return "expired";
    if (attempt.state === "code" && attempt.code) return shownCode(state, attempt);
    if (attempt.state === "code") return "requesting";
  }
  if (state.request) return "requesting";
  if (state.outcome?.kind === "not-on-whatsapp") return "not-on-whatsapp";
  if (state.fieldError) return "entry-error";
  return state.isPhoneMissing ? "phone-missing" : "entry";
}

function shownCode(state: PageState, attempt: PageAttempt): Screen {
  if (attempt.expiresAt - state.now <= ENDING_SECONDS * 1_000) return "code-ending";
  return attempt.switched ? "switched" : "code";
}

function isBlocked(state: PageState): boolean {
  const { blockedUntil, attempt } = state;
  if (blockedUntil === undefined || state.now >= blockedUntil) return false;
  return !(isLive(attempt) && attempt?.method === state.tab);
}

/** A code or QR that can still be used stays on the screen without the server. */
function isShowing(state: PageState): boolean {
  const { attempt } = state;
  if (!attempt || attempt.method !== state.tab) return false;
  return (attempt.state === "code" || attempt.state === "qr") && state.now < attempt.expiresAt;
}
