import type {
  EventData,
  PairingCodeAnswer,
  StatusAnswer,
  companyPhoneMissing,
  pairingAbandoned,
  pairingCodeExpired,
  pairingCodeIssued,
  pairingFailed,
  pairingLinking,
  pairingPasskeyRequired,
  pairingQrExhausted,
  pairingQrIssued,
  pairingRateLimited,
  pairingStarted,
  pairingSucceeded,
  sessionBlocked,
  sessionConnected,
  sessionConnecting,
  sessionDisconnected,
  sessionError,
} from "@manyline/contracts";

type Definitions =
  | typeof pairingStarted
  | typeof pairingCodeExpired
  | typeof pairingLinking
  | typeof pairingPasskeyRequired
  | typeof pairingSucceeded
  | typeof pairingFailed
  | typeof pairingAbandoned
  | typeof pairingRateLimited
  | typeof pairingQrExhausted
  | typeof companyPhoneMissing
  | typeof sessionConnecting
  | typeof sessionConnected
  | typeof sessionDisconnected
  | typeof sessionError
  | typeof sessionBlocked;

type Plain<Definition> = Definition extends Definitions
  ? { type: Definition["type"]; data: EventData<Definition> }
  : never;

/** What the server tells: answers of requests, and the events of the stream. */
export type ServerEvent =
  | { type: "snapshot"; answer: StatusAnswer }
  | { type: "code-answer"; answer: PairingCodeAnswer }
  | Plain<Definitions>
  /** a stream with scope `pair` carries what the event itself leaves out */
  | { type: "pairing.qr_issued"; data: EventData<typeof pairingQrIssued> & { qr?: string } }
  | { type: "pairing.code_issued"; data: EventData<typeof pairingCodeIssued> & { code?: string } };

/** The names the stream is listened to under. */
export const STREAM_EVENTS = [
  "pairing.started",
  "pairing.qr_issued",
  "pairing.qr_exhausted",
  "pairing.code_issued",
  "pairing.code_expired",
  "pairing.linking",
  "pairing.passkey_required",
  "pairing.succeeded",
  "pairing.failed",
  "pairing.abandoned",
  "pairing.rate_limited",
  "company.phone_missing",
  "session.connecting",
  "session.connected",
  "session.disconnected",
  "session.error",
  "session.blocked",
] as const satisfies Exclude<ServerEvent["type"], "snapshot" | "code-answer">[];
