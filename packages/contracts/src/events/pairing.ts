/** Facts about one pairing attempt. Codes and QR texts are in no event: they are read from the attempt while they live. */
import { Type } from "typebox";
import { ERROR_CODES } from "../errors.ts";
import { defineEvent } from "./define.ts";
import { AttemptIdField, MethodField, PhoneField, Timestamp, nullable, oneOf } from "./fields.ts";

export const pairingStarted = defineEvent({
  type: "pairing.started",
  version: 1,
  description: "An attempt to link the number has begun. Exactly one is live per number.",
  data: Type.Object({
    attemptId: AttemptIdField,
    method: MethodField,
    phone: nullable(PhoneField),
  }),
});
export const pairingQrIssued = defineEvent({
  type: "pairing.qr_issued",
  version: 1,
  description:
    "A QR code can be scanned until `expiresAt`. `refreshed`: the same k with a new secret, the old picture is dead. Fetch it with GET …/qr.",
  data: Type.Object({
    attemptId: AttemptIdField,
    k: Type.Integer({ minimum: 1 }),
    max: Type.Integer({ minimum: 1 }),
    issuedAt: Timestamp,
    expiresAt: Timestamp,
    refreshed: Type.Boolean(),
  }),
});
export const pairingQrExhausted = defineEvent({
  type: "pairing.qr_exhausted",
  version: 1,
  description:
    "The last QR ended unscanned. `switchedTo: code`: a code is being asked for; null: no phone is known, or no code may be asked for.",
  data: Type.Object({
    attemptId: AttemptIdField,
    k: Type.Integer(),
    switchedTo: nullable(Type.Literal("code")),
  }),
});
export const pairingCodeIssued = defineEvent({
  type: "pairing.code_issued",
  version: 1,
  description:
    "WhatsApp accepted a pairing code; it can be typed on the phone until `expiresAt`. The code itself is in no event. `switched`: it follows unscanned QRs.",
  data: Type.Object({
    attemptId: AttemptIdField,
    phone: PhoneField,
    issuedAt: Timestamp,
    expiresAt: Timestamp,
    validitySeconds: Type.Integer(),
    codesLeft: Type.Integer({ minimum: 0, description: "more codes this hour" }),
    switched: Type.Boolean(),
  }),
});
export const pairingCodeExpired = defineEvent({
  type: "pairing.code_expired",
  version: 1,
  description:
    "The code is no longer shown. It may still be accepted for a short grace time. Offer a new one; never start one by yourself.",
  data: Type.Object({ attemptId: AttemptIdField, codesLeft: Type.Integer({ minimum: 0 }) }),
});
export const pairingLinking = defineEvent({
  type: "pairing.linking",
  version: 1,
  description:
    "The phone has answered the code; credentials are being exchanged. Ends with pairing.succeeded or pairing.failed.",
  data: Type.Object({ attemptId: AttemptIdField }),
});
export const pairingPasskeyRequired = defineEvent({
  type: "pairing.passkey_required",
  version: 1,
  description:
    "WhatsApp wants a passkey for this number, by either method. Tell the person; another attempt ends the same way.",
  data: Type.Object({
    attemptId: AttemptIdField,
    expiresAt: Timestamp,
    options: Type.Unknown({
      description: "WhatsApp's WebAuthn request options, as received; holds no secret",
    }),
  }),
});
export const pairingSucceeded = defineEvent({
  type: "pairing.succeeded",
  version: 1,
  description:
    "The phone accepted; credentials are stored. session.connected follows when the connection is open.",
  data: Type.Object({
    attemptId: AttemptIdField,
    method: MethodField,
    phone: nullable(PhoneField),
    otherPhone: Type.Boolean({ description: "another phone than the one stored before" }),
  }),
});
export const pairingFailed = defineEvent({
  type: "pairing.failed",
  version: 1,
  description:
    "The attempt ended with an error; `code` is from docs/errors.md. Credentials of the attempt are gone.",
  data: Type.Object({
    attemptId: AttemptIdField,
    code: oneOf(ERROR_CODES),
    detail: Type.Optional(Type.String()),
  }),
});
export const pairingAbandoned = defineEvent({
  type: "pairing.abandoned",
  version: 1,
  description:
    "The attempt ended without a link and without an error. unwatched: nobody looked for 30 s; replaced: a newer attempt; cancelled: by a person; unused: QRs or code ran out.",
  data: Type.Object({
    attemptId: AttemptIdField,
    reason: oneOf(["unwatched", "replaced", "cancelled", "unused"] as const),
  }),
});
export const pairingRateLimited = defineEvent({
  type: "pairing.rate_limited",
  version: 1,
  description:
    "A code was refused by our limits. scope company: all codes of the company wait until `until`; phone: codes for this phone do.",
  data: Type.Object({
    scope: oneOf(["company", "phone"] as const),
    until: Timestamp,
    minutes: Type.Integer({ minimum: 1 }),
  }),
});
