/** What follows from the status of the connection. Pure. */
import { endWith, isLive, phoneInPlay } from "./attempt.ts";
import type { ServerEvent } from "./server-event.ts";
import type { Facts, PageState } from "./state.ts";

export function applySession(
  state: PageState,
  event: Extract<ServerEvent, { type: `session.${string}` }>,
): PageState {
  if (!state.facts) return state;
  const { status, reason, since, until, phone } = event.data;
  const facts: Facts = {
    ...state.facts,
    status,
    reason,
    since: Date.parse(since),
    until: until === undefined ? null : Date.parse(until),
    phone: phone ?? state.facts.phone,
  };
  const blockedUntil = status === "blocked" && until ? Date.parse(until) : state.blockedUntil;
  return applyStatus({ ...state, facts, blockedUntil }, state.facts);
}

/** What follows from the status alone. */
export function applyStatus(state: PageState, before: Facts | undefined): PageState {
  const { facts } = state;
  if (!facts) return state;
  if (facts.status === "connected") {
    const isNews = before !== undefined && before.status !== "connected";
    const hasPaired = state.linkingSince !== undefined || isLive(state.attempt);
    const isLinkedHere = state.isLinkedHere || (isNews && hasPaired);
    return {
      ...state,
      attempt: undefined,
      request: undefined,
      outcome: undefined,
      linkingSince: undefined,
      isLinkedHere,
      isUnlinkedHere: false,
      work: state.work?.kind === "reconnecting" ? undefined : state.work,
    };
  }
  if (facts.reason === "linking_refused" || facts.reason === "passkey_required") {
    if (isLive(state.attempt) || before?.reason === facts.reason) return state;
    const kind = facts.reason === "passkey_required" ? "passkey" : "whatsapp-wait";
    return endWith(state, { kind, phone: phoneInPlay(state) });
  }
  if (before?.status === "connected") {
    return {
      ...state,
      isLinkedHere: false,
      isUnlinkAsked: false,
      work: state.work?.kind === "unlinking" ? undefined : state.work,
      // Whoever unlinked did not ask for a new link: it waits for a person.
      isQrSpent: true,
      isUnlinkedHere: facts.reason === "unlinked",
    };
  }
  return state;
}
