/** The words and figures of a pairing attempt: one try to link a number, by QR or by code. */

export const PAIRING_METHODS = ["qr", "code"] as const;
export type PairingMethod = (typeof PAIRING_METHODS)[number];

/**
 * starting: socket opening, no QR yet · qr: a QR is shown · requesting: WhatsApp is asked for a code ·
 * code: a code is shown · code_expired: no longer shown, still accepted for the grace time ·
 * linking: the phone has answered, credentials are being exchanged · passkey_required: WhatsApp asks for a
 * passkey · ended: over, with an outcome.
 */
export const PAIRING_STATES = [
  "starting",
  "qr",
  "requesting",
  "code",
  "code_expired",
  "linking",
  "passkey_required",
  "ended",
] as const;
export type PairingState = (typeof PAIRING_STATES)[number];

/** How an attempt ended. `unused`: a code or the QRs ran out with nobody to switch to. */
export const PAIRING_OUTCOMES = [
  "succeeded",
  "failed",
  "abandoned",
  "replaced",
  "cancelled",
  "unused",
] as const;
export type PairingOutcome = (typeof PAIRING_OUTCOMES)[number];

/** Figures in milliseconds of real WhatsApp time; TIME_SCALE divides them in tests. */
export const PAIRING = {
  /** Life of the first, second and third QR of an attempt. */
  qrLifeMs: [60_000, 20_000, 20_000],
  maxQr: 3,
  /** How long a code is shown. The seed's `codeValiditySeconds`. */
  codeValidityMs: 60_000,
  /** How much longer the socket and credentials of a shown code live. */
  codeGraceMs: 30_000,
  /** From `primary_hello` to pair-success at most. */
  linkingMs: 60_000,
  /** An attempt nobody has watched for so long ends. */
  unwatchedMs: 30_000,
  /** How long the gateway waits for a code. */
  codeDeadlineMs: 25_000,
  codesPerHour: 5,
  windowMs: 3_600_000,
  cooldownMs: 1_800_000,
} as const;

/** The code as people read it: `ABCDEFGH` → `ABCD-EFGH`. */
export function formatPairingCode(code: string): string {
  return `${code.slice(0, 4)}-${code.slice(4)}`;
}
