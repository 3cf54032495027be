/** How the server's answers and events change what the page knows. Pure. */
import type { PairingCodeAnswer } from "@manyline/contracts";
import {
  attemptOf,
  endAttempt,
  endWith,
  isOther,
  newAttempt,
  outcomeOf,
  phoneInPlay,
  startLinking,
} from "./attempt.ts";
import type { ServerEvent } from "./server-event.ts";
import { applySnapshot } from "./snapshot.ts";
import type { PageAttempt, PageState } from "./state.ts";
import { applySession } from "./status.ts";

export function reduceServer(state: PageState, event: ServerEvent): PageState {
  switch (event.type) {
    case "snapshot":
      return applySnapshot(state, event.answer);
    case "code-answer":
      return applyCodeAnswer(state, event.answer);
    case "pairing.started":
      return {
        ...state,
        outcome: undefined,
        linkingSince: undefined,
        isPhoneMissing: false,
        hasQrEnded: false,
        isQrSpent: true,
        isQrStarting: false,
        isFormWanted: false,
        attempt: newAttempt(state, event.data),
        ...(event.data.method === "code" && !state.isTabChosen ? { tab: "code" as const } : {}),
      };
    case "pairing.qr_issued": {
      const { attemptId: id, k, max, issuedAt, expiresAt, qr } = event.data;
      const base = attemptOf(state, id, "qr");
      const attempt: PageAttempt = {
        ...base,
        state: "qr",
        k,
        max,
        issuedAt: Date.parse(issuedAt),
        expiresAt: Date.parse(expiresAt),
        qr,
      };
      return { ...state, attempt, isQrSpent: true, isQrStarting: false, hasQrEnded: false };
    }
    case "pairing.qr_exhausted":
      if (event.data.switchedTo === "code") {
        const attempt: PageAttempt = {
          ...attemptOf(state, event.data.attemptId, "code"),
          method: "code",
          state: "requesting",
          switched: true,
          phone: state.facts?.phone ?? state.facts?.company.phone ?? null,
          qr: undefined,
        };
        return { ...state, attempt, tab: "code" };
      }
      return endAttempt(applyExhausted(state), event.data.attemptId);
    case "pairing.code_issued": {
      const { attemptId: id, phone, issuedAt, expiresAt, codesLeft, switched, code } = event.data;
      return showCode(state, {
        ...attemptOf(state, id, "code"),
        phone,
        switched,
        issuedAt: Date.parse(issuedAt),
        expiresAt: Date.parse(expiresAt),
        codesLeft,
        code,
      });
    }
    case "pairing.code_expired": {
      const facts = state.facts && { ...state.facts, codesLeft: event.data.codesLeft };
      if (state.attempt?.id !== event.data.attemptId) return { ...state, facts };
      return { ...state, facts, attempt: { ...state.attempt, state: "code_expired" } };
    }
    case "pairing.linking":
      return startLinking(state, event.data.attemptId, null);
    case "pairing.passkey_required":
      return endWith(state, { kind: "passkey", phone: phoneInPlay(state) });
    case "pairing.succeeded": {
      const linking = startLinking(state, event.data.attemptId, event.data.phone);
      return {
        ...linking,
        otherPhone: event.data.otherPhone ? (event.data.phone ?? undefined) : undefined,
      };
    }
    case "pairing.failed":
      if (isOther(state, event.data.attemptId)) return state;
      // The pause has an event of its own, and a screen.
      if (event.data.code === "RATE_LIMITED") {
        return { ...state, attempt: undefined, request: undefined, tab: "code" };
      }
      return endWith(state, outcomeOf(event.data.code, state));
    case "pairing.abandoned":
      if (isOther(state, event.data.attemptId)) return state;
      return applyAbandoned(state, event.data.reason);
    case "pairing.rate_limited":
      return { ...state, request: undefined, blockedUntil: Date.parse(event.data.until) };
    case "company.phone_missing":
      return { ...state, isPhoneMissing: true, hasQrEnded: true, tab: "code", attempt: undefined };
    case "session.connecting":
    case "session.disconnected":
    case "session.error":
    case "session.blocked":
    case "session.connected":
      return applySession(state, event);
  }
}

function applyCodeAnswer(state: PageState, answer: PairingCodeAnswer): PageState {
  if (state.attempt?.id === answer.attemptId && state.attempt.state === "linking") return state;
  const expiresAt = Date.parse(answer.expiresAt);
  return showCode(state, {
    ...attemptOf(state, answer.attemptId, "code"),
    phone: answer.phoneNumber,
    switched: false,
    issuedAt: expiresAt - answer.expiresInSeconds * 1_000,
    expiresAt,
    codesLeft: answer.codesLeft,
    code: answer.code,
  });
}

/** The answer of the request and the event of the stream tell the same, in either order. */
function showCode(
  state: PageState,
  { codesLeft, ...issued }: PageAttempt & { codesLeft: number },
): PageState {
  const before = state.attempt?.id === issued.id ? state.attempt : undefined;
  const isOver = before?.state === "code_expired" || before?.state === "linking";
  return {
    ...state,
    attempt: {
      ...issued,
      method: "code",
      state: isOver ? before.state : "code",
      code: issued.code ?? before?.code,
      qr: undefined,
    },
    facts: state.facts && { ...state.facts, codesLeft },
    request: undefined,
    outcome: undefined,
    fieldError: undefined,
    isWaitOver: false,
    isPhoneMissing: false,
    isFormWanted: state.isFormWanted && before !== undefined,
    ...(issued.switched || !state.isTabChosen ? { tab: "code" as const } : {}),
  };
}

function applyAbandoned(
  state: PageState,
  reason: "unwatched" | "replaced" | "cancelled" | "unused",
): PageState {
  const { attempt } = state;
  if (reason === "replaced") return state;
  if (attempt?.method === "code") {
    if (attempt.state !== "code" && attempt.state !== "code_expired")
      return { ...state, attempt: undefined, request: undefined, linkingSince: undefined };
    return { ...state, attempt: { ...attempt, state: "code_expired" } };
  }
  return {
    ...state,
    attempt: undefined,
    linkingSince: undefined,
    isQrStarting: false,
    hasQrEnded: state.hasQrEnded || reason !== "cancelled",
  };
}

/** The event about the missing phone comes once only; a page that is open later must still ask for it. */
function applyExhausted(state: PageState): PageState {
  const isPhoneMissing = !state.facts?.phone && !state.facts?.company.phone;
  return { ...state, hasQrEnded: true, isPhoneMissing, tab: isPhoneMissing ? "code" : state.tab };
}
