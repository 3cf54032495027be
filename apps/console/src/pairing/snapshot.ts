/** How a whole answer of the server, at first or after a gap, becomes what the page knows. Pure. */
import type { StatusAnswer } from "@manyline/contracts";
import { endWith, outcomeOf, startLinking } from "./attempt.ts";
import type { Facts, PageAttempt, PageState } from "./state.ts";
import { applyStatus } from "./status.ts";

/** A link that was finished so recently is still being opened, and is not a drop. */
const OPENING_MS = 30_000;

export function applySnapshot(state: PageState, answer: StatusAnswer): PageState {
  const { attempt: told } = answer;
  const shown = told && attemptFromAnswer(told, state.attempt);
  const isOver = !shown || shown.state === "ended";
  const isOpening = told?.outcome === "succeeded" && isJustOpening(answer, state.now);
  const base: PageState = {
    ...state,
    facts: factsOf(answer),
    // Without an owner the number stays out of reach, although the server answers.
    lost: answer.reason === "no_owner" ? state.lost : undefined,
    attempt: isOver ? undefined : shown,
    linkingSince: isOpening || shown?.state === "linking" ? state.linkingSince : undefined,
    blockedUntil: later(answer.blockedUntil, state.now),
    ...(!isOver && shown.method === "code" && !state.isTabChosen ? { tab: "code" as const } : {}),
  };
  const next = applyStatus(base, state.facts);
  if (isOpening) return startLinking(next, told.id, told.phone);
  if (isOver) return applyEnd(next, state, told);
  if (shown.state === "linking") return startLinking(next, shown.id, shown.phone);
  if (shown.state === "passkey_required")
    return endWith(next, { kind: "passkey", phone: shown.phone });
  const isRequestAnswered = shown.state === "code" || shown.method === "qr";
  return {
    ...next,
    isQrSpent: true,
    isQrStarting: false,
    outcome: undefined,
    request: isRequestAnswered ? undefined : next.request,
  };
}

/**
 * An attempt that was live when the page last heard of it, and ended while the page did not listen. One that
 * had ended before the page was opened is no news.
 */
function applyEnd(next: PageState, before: PageState, ended: StatusAnswer["attempt"]): PageState {
  if (!ended || before.attempt?.id !== ended.id) return next;
  switch (ended.outcome) {
    case "succeeded":
      return next.facts?.status === "connected" ? { ...next, isLinkedHere: true } : next;
    case "failed":
      if (ended.errorCode === "RATE_LIMITED") return next;
      return endWith(next, outcomeOf(ended.errorCode ?? "", before));
    case "abandoned":
    case "unused":
      if (ended.method === "qr") return { ...next, hasQrEnded: true };
      return { ...next, attempt: { ...before.attempt, state: "code_expired" } };
    case "replaced":
    case "cancelled":
    case null:
      return next;
  }
}

function isJustOpening(answer: StatusAnswer, now: number): boolean {
  if (answer.status !== "connecting" || answer.reason === "reconnecting") return false;
  return now - Date.parse(answer.since) < OPENING_MS;
}

function attemptFromAnswer(
  answer: NonNullable<StatusAnswer["attempt"]>,
  before: PageAttempt | undefined,
): PageAttempt {
  const known = before?.id === answer.id ? before : undefined;
  const issuedAt = answer.issuedAt ?? answer.startedAt;
  return {
    id: answer.id,
    method: answer.method,
    state: answer.state,
    k: answer.k,
    max: answer.max,
    switched: answer.switched,
    issuedAt: Date.parse(issuedAt),
    expiresAt: Date.parse(answer.expiresAt ?? issuedAt),
    phone: answer.phone,
    // The status answer has neither; the snapshot of the stream has what lives.
    qr: answer.qr ?? (known?.k === answer.k ? known.qr : undefined),
    code: answer.code ?? known?.code,
  };
}

function factsOf(answer: StatusAnswer): Facts {
  const { company, number } = answer;
  return {
    companyId: answer.companyId,
    company: {
      name: company.name,
      phone: company.phone,
      maskedEmail: company.maskedEmail,
      country: company.country,
      language: company.language,
      timezone: company.timezone,
      returnUrl: company.returnUrl,
      smsNotifications: company.smsNotifications,
    },
    numberId: number?.id ?? null,
    provider: number?.provider ?? "linked",
    phone: number?.phone ?? null,
    status: answer.status,
    reason: answer.reason,
    since: Date.parse(answer.since),
    until: answer.until === null ? null : Date.parse(answer.until),
    codesLeft: answer.codesLeft,
  };
}

function later(time: string | null, now: number): number | undefined {
  const at = time === null ? Number.NaN : Date.parse(time);
  return at > now ? at : undefined;
}
