/** What the tests of the page's state start from. */
import type { Attempt, StatusAnswer } from "@manyline/contracts";
import { reduce, type PageEvent } from "./reduce.ts";
import { initialState, type PageState } from "./state.ts";

/** The moment the tests begin at. */
export const T0 = Date.UTC(2026, 10, 21, 12, 0, 0);
export const PHONE = "79001234567";
export const FIRST = `pai_${"0".repeat(31)}1`;
export const SECOND = `pai_${"0".repeat(31)}2`;

export function iso(seconds: number): string {
  return new Date(T0 + seconds * 1_000).toISOString();
}

export function answer(changes: Partial<StatusAnswer> = {}): StatusAnswer {
  return {
    success: true,
    companyId: "962302",
    status: "disconnected",
    reason: "not_linked",
    since: iso(-3_600),
    asOf: iso(0),
    serverTime: iso(0),
    nextAction: "pair",
    until: null,
    number: {
      id: `num_${"0".repeat(31)}1`,
      provider: "linked",
      phone: null,
      name: null,
      isPrimary: true,
    },
    attempt: null,
    codesLeft: 5,
    blockedUntil: null,
    restriction: null,
    isPaused: false,
    company: {
      id: "962302",
      name: "Автосервис 66",
      phone: PHONE,
      maskedEmail: "o•••@salon.example",
      country: "RU",
      language: "ru",
      timezone: "Asia/Yekaterinburg",
      returnUrl: null,
      smsNotifications: false,
    },
    health: { score: 60, reconnectAttempts: 0, lastSeenAt: null },
    ...changes,
  };
}

export function attempt(changes: Partial<Attempt> = {}): Attempt {
  return {
    id: FIRST,
    method: "qr",
    state: "qr",
    outcome: null,
    errorCode: null,
    k: 1,
    max: 3,
    switched: false,
    startedAt: iso(0),
    issuedAt: iso(0),
    expiresAt: iso(60),
    phone: null,
    codesLeft: 5,
    blockedUntil: null,
    qr: "2@first",
    ...changes,
  };
}

export function codeAttempt(changes: Partial<Attempt> = {}): Attempt {
  return attempt({
    method: "code",
    state: "code",
    k: 0,
    phone: PHONE,
    code: "K7WM-3XQP",
    qr: undefined as never,
    codesLeft: 4,
    ...changes,
  });
}

export const events = {
  snapshot: (changes: Partial<StatusAnswer> = {}): PageEvent => ({
    type: "snapshot",
    answer: answer(changes),
  }),
  qr: (k: number, second: number, lives: number, qr = `2@${k}`): PageEvent => ({
    type: "pairing.qr_issued",
    data: {
      attemptId: FIRST,
      k,
      max: 3,
      issuedAt: iso(second),
      expiresAt: iso(second + lives),
      refreshed: false,
      qr,
    },
  }),
  code: (id: string, second = 0, isSwitched = false): PageEvent => ({
    type: "pairing.code_issued",
    data: {
      attemptId: id,
      phone: PHONE,
      issuedAt: iso(second),
      expiresAt: iso(second + 60),
      validitySeconds: 60,
      codesLeft: 4,
      switched: isSwitched,
      code: "K7WM-3XQP",
    },
  }),
  session: (
    status: "connecting" | "connected" | "disconnected" | "error" | "blocked",
    reason: StatusAnswer["reason"],
    until?: string,
  ): PageEvent => ({
    type: `session.${status}`,
    data: {
      status,
      reason,
      previousStatus: null,
      since: iso(0),
      provider: "linked",
      phone: PHONE,
      nextAction: "none",
      ...(until === undefined ? {} : { until }),
    },
  }),
  refused: (
    action: "qr" | "code" | "work",
    code: string,
    status = 409,
    more: { until?: number; retryAfterSeconds?: number } = {},
  ): PageEvent => ({
    type: "refused",
    action,
    problem: {
      status,
      code,
      until: more.until,
      retryAfterSeconds: more.retryAfterSeconds,
      reference: "req_1",
      isPaused: false,
    },
  }),
} as const;

/** The page after a sequence. A number is the server's time in seconds from the beginning. */
export function after(...steps: (PageEvent | number)[]): PageState {
  return from(initialState({ now: T0, isPhone: false }), ...steps);
}

/** The same on a touch phone. */
export function onPhone(...steps: (PageEvent | number)[]): PageState {
  return from(initialState({ now: T0, isPhone: true }), ...steps);
}

/** The page in a state, after some more. */
export function from(state: PageState, ...steps: (PageEvent | number)[]): PageState {
  let now = state.now;
  let next = state;
  for (const step of steps) {
    if (typeof step === "number") now = T0 + step * 1_000;
    next = reduce(next, typeof step === "number" ? { type: "tick" } : step, now);
  }
  return next;
}
