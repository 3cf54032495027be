/**
 * The words for a number's connection: a small closed vocabulary of statuses, a reason code that says
 * why, and what the person can do next.
 */

/** No others exist, anywhere. */
export const SESSION_STATUSES = [
  "connecting",
  "connected",
  "disconnected",
  "error",
  "blocked",
] as const;
export type SessionStatus = (typeof SESSION_STATUSES)[number];

/** What a person can do about it. `none`: nothing, it mends itself or is fine. */
export const NEXT_ACTIONS = [
  "none",
  "pair",
  "finish_pairing",
  "wait",
  "reconnect",
  "check_phone",
  "use_another_number",
  "contact_operator",
] as const;
export type NextAction = (typeof NEXT_ACTIONS)[number];

/** Why a number has its status. The table is the whole list; docs/state-machines.md repeats it. */
export const SESSION_REASONS = {
  not_linked: {
    status: "disconnected",
    nextAction: "pair",
    title: "No phone has been linked yet.",
  },
  pairing: {
    status: "connecting",
    nextAction: "finish_pairing",
    title: "A pairing attempt is running.",
  },
  opening: { status: "connecting", nextAction: "none", title: "The connection is being opened." },
  reconnecting: {
    status: "connecting",
    nextAction: "none",
    title: "The connection dropped and is being opened again.",
  },
  open: { status: "connected", nextAction: "none", title: "Linked and working." },
  logged_out: {
    status: "disconnected",
    nextAction: "pair",
    title: "The number was unlinked on the phone.",
  },
  unlinked: {
    status: "disconnected",
    nextAction: "pair",
    title: "The number was unlinked here by a person.",
  },
  switched_off: {
    status: "disconnected",
    nextAction: "none",
    title: "The company or the number is switched off.",
  },
  no_owner: {
    status: "disconnected",
    nextAction: "wait",
    title: "No worker owns this number at the moment.",
  },
  offline: {
    status: "disconnected",
    nextAction: "reconnect",
    title: "The server that keeps the number's session says that it is offline.",
  },
  replaced: {
    status: "error",
    nextAction: "reconnect",
    title: "Another program took over this connection.",
  },
  token_refused: {
    status: "error",
    nextAction: "contact_operator",
    title: "The provider refuses the number's access token or key; give it a new one.",
  },
  not_confirmed: {
    status: "error",
    nextAction: "contact_operator",
    title: "Meta does not know the number under its account, or another company has it here.",
  },
  locked: {
    status: "error",
    nextAction: "check_phone",
    title: "WhatsApp has locked this account.",
  },
  temp_ban: {
    status: "error",
    nextAction: "wait",
    title: "WhatsApp has banned this account for a time.",
  },
  client_outdated: {
    status: "error",
    nextAction: "contact_operator",
    title: "WhatsApp refuses this client version.",
  },
  client_refused: {
    status: "error",
    nextAction: "contact_operator",
    title: "WhatsApp refuses this kind of client.",
  },
  multidevice: {
    status: "error",
    nextAction: "check_phone",
    title: "The phone does not use the multi-device mode.",
  },
  untrusted_server: {
    status: "error",
    nextAction: "contact_operator",
    title: "The server's certificate is not WhatsApp's.",
  },
  qr_failed: {
    status: "error",
    nextAction: "reconnect",
    title: "The QR could not be read, or its scan failed.",
  },
  phone_offline: {
    status: "error",
    nextAction: "check_phone",
    title: "The server that keeps the number's session does not reach its phone.",
  },
  linking_refused: {
    status: "error",
    nextAction: "wait",
    title: "WhatsApp does not link new devices to this number now.",
  },
  passkey_required: {
    status: "error",
    nextAction: "use_another_number",
    title: "WhatsApp wants a passkey for this number.",
  },
  rate_limited: {
    status: "blocked",
    nextAction: "wait",
    title: "Too many pairing codes were asked for.",
  },
} as const satisfies Record<
  string,
  { status: SessionStatus; nextAction: NextAction; title: string }
>;

export type SessionReason = keyof typeof SESSION_REASONS;
export const SESSION_REASON_CODES = Object.keys(SESSION_REASONS) as SessionReason[];

/** What should be true of a number; the owner works towards it. Set by the gateway. */
export const DESIRED_STATES = ["connected", "disconnected"] as const;
export type DesiredState = (typeof DESIRED_STATES)[number];

export const PROVIDERS = ["linked", "meta", "wpp"] as const;
export type Provider = (typeof PROVIDERS)[number];
