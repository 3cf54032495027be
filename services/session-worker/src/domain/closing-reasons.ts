/**
 * Why a connection to WhatsApp ended, as data: close code → what the number's status becomes and what
 * its owner does. The codes are Baileys' `lastDisconnect.error.output.statusCode`, and two of ours for Meta. A code that is not in
 * the table keeps the credentials and reconnects: losing a link by mistake is worse than one try more.
 */
import type { SessionReason } from "@manyline/contracts";

/**
 * restart: open again at once, no failure · reconnect: with jittered backoff · reconnect_slowly: the same,
 * starting later · wait_until: reconnect once the ban's end has passed · stop: a person has to act ·
 * ask_lease: stop, and ask the database whether the number is still ours · erase: the link is gone, erase the
 * credentials · fleet_stop: no number of this process reconnects any more · none: it was intended.
 */
export const REACTIONS = [
  "restart",
  "reconnect",
  "reconnect_slowly",
  "wait_until",
  "stop",
  "ask_lease",
  "erase",
  "fleet_stop",
  "none",
] as const;
export type Reaction = (typeof REACTIONS)[number];

export type ClosingRule = { reason: SessionReason; reaction: Reaction; meaning: string };

/** docs/state-machines.md repeats this table; a test compares them. */
export const CLOSING_REASONS: Readonly<Record<number, ClosingRule>> = {
  400: {
    reason: "untrusted_server",
    reaction: "stop",
    meaning: "the server's certificate is not signed by the key we trust",
  },
  401: {
    reason: "logged_out",
    reaction: "erase",
    meaning: "the device was removed on the phone, or by us",
  },
  402: {
    reason: "temp_ban",
    reaction: "wait_until",
    meaning: "a temporary ban of the account, with its end",
  },
  403: { reason: "locked", reaction: "stop", meaning: "the account is locked or banned" },
  405: {
    reason: "client_outdated",
    reaction: "fleet_stop",
    meaning: "this client version is too old",
  },
  406: {
    reason: "locked",
    reaction: "stop",
    meaning: "banned, or logged out for a reason WhatsApp does not name",
  },
  408: {
    reason: "reconnecting",
    reaction: "reconnect",
    meaning: "nothing was heard for too long, or no connection came about",
  },
  409: {
    reason: "client_refused",
    reaction: "stop",
    meaning: "the user agent is refused: a mistake in our configuration",
  },
  411: {
    reason: "multidevice",
    reaction: "stop",
    meaning: "the phone does not use the multi-device mode",
  },
  428: { reason: "reconnecting", reaction: "reconnect", meaning: "the connection dropped" },
  429: {
    reason: "reconnecting",
    reaction: "reconnect_slowly",
    meaning: "WhatsApp asks for fewer connections",
  },
  440: {
    reason: "replaced",
    reaction: "ask_lease",
    meaning: "somebody else connected with these credentials",
  },
  471: {
    reason: "token_refused",
    reaction: "stop",
    meaning:
      "Meta refuses the access token of the number, or it may not do this; the WPP Platform refuses its key",
  },
  472: {
    reason: "not_confirmed",
    reaction: "stop",
    meaning: "Meta does not have the number in that account, or another number is active there",
  },
  473: {
    reason: "not_linked",
    reaction: "stop",
    meaning: "nobody has scanned the QR that a WPP server showed",
  },
  500: {
    reason: "reconnecting",
    reaction: "reconnect",
    meaning: "an error without a code; the credentials are fine in spite of its name, badSession",
  },
  503: {
    reason: "reconnecting",
    reaction: "reconnect_slowly",
    meaning: "WhatsApp is not available",
  },
  515: {
    reason: "opening",
    reaction: "restart",
    meaning: "asked to start again, right after linking",
  },
  516: { reason: "reconnecting", reaction: "reconnect", meaning: "a stream error of the server" },
};

const UNKNOWN: ClosingRule = {
  reason: "reconnecting",
  reaction: "reconnect",
  meaning: "a code this build does not know",
};
const INTENDED: ClosingRule = { reason: "opening", reaction: "none", meaning: "we closed it" };

/** The rule for a close code; undefined is a close that was intended. */
export function closingRule(code: number | undefined): ClosingRule {
  return code === undefined ? INTENDED : (CLOSING_REASONS[code] ?? UNKNOWN);
}
