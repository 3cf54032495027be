/** The shapes REST answers with. Kept from the seed where it had them; fields are only added. */
import { Type, type Static } from "typebox";
import {
  MethodField,
  PhoneField,
  ProviderField,
  ReasonField,
  StatusField,
  Timestamp,
  nullable,
  oneOf,
  AttemptIdField,
  NumberIdField,
} from "../events/fields.ts";
import { PAIRING_OUTCOMES, PAIRING_STATES } from "../pairing.ts";
import { RestrictionField } from "../restriction.ts";
import { NEXT_ACTIONS } from "../session.ts";

/** The current or last pairing attempt of a number. `qr` and `code` only towards scope `pair`, only while they live, only over SSE. */
export const Attempt = Type.Object(
  {
    id: AttemptIdField,
    method: MethodField,
    state: oneOf(PAIRING_STATES),
    outcome: nullable(oneOf(PAIRING_OUTCOMES)),
    errorCode: nullable(Type.String({ description: "why it failed; see docs/errors.md" })),
    k: Type.Integer({ description: "which QR, from 1; 0 before the first" }),
    max: Type.Integer(),
    switched: Type.Boolean({ description: "the code follows unscanned QRs" }),
    startedAt: Timestamp,
    issuedAt: nullable(Timestamp),
    expiresAt: nullable(Timestamp),
    phone: nullable(PhoneField),
    codesLeft: Type.Integer(),
    blockedUntil: nullable(Timestamp),
    qr: Type.Optional(Type.String()),
    code: Type.Optional(Type.String()),
  },
  { $id: "Attempt" },
);
export type Attempt = Static<typeof Attempt>;

export const CompanySummary = Type.Object({
  id: Type.String(),
  name: Type.String(),
  phone: nullable(PhoneField),
  maskedEmail: nullable(Type.String()),
  country: nullable(Type.String()),
  language: Type.String(),
  timezone: Type.String(),
  returnUrl: nullable(Type.String()),
  smsNotifications: Type.Boolean(),
});

/** How well a connection fares; the view `whatsapp_connection_status` computes the same. */
export const ScoreField = Type.Integer({
  minimum: 0,
  maximum: 100,
  description: "100 − 10 per reconnect try (at most 50) − 40 when not connected",
});

export const Health = Type.Object({
  score: ScoreField,
  reconnectAttempts: Type.Integer(),
  lastSeenAt: nullable(Timestamp),
});

/** `GET …/status` */
export const StatusAnswer = Type.Object(
  {
    success: Type.Literal(true),
    companyId: Type.String(),
    status: StatusField,
    reason: ReasonField,
    since: Timestamp,
    asOf: Timestamp,
    serverTime: Timestamp,
    nextAction: oneOf(NEXT_ACTIONS),
    until: nullable(Timestamp),
    number: nullable(
      Type.Object({
        id: NumberIdField,
        provider: ProviderField,
        phone: nullable(PhoneField),
        name: nullable(Type.String()),
        isPrimary: Type.Boolean(),
      }),
    ),
    attempt: nullable(Attempt),
    codesLeft: Type.Integer({
      description: "pairing codes the company may still ask for this hour",
    }),
    blockedUntil: nullable(Timestamp),
    restriction: nullable(RestrictionField),
    isPaused: Type.Boolean({
      description: "the reason is no_owner because an operator has paused the number for a while",
    }),
    company: CompanySummary,
    health: Health,
  },
  { $id: "StatusAnswer" },
);
export type StatusAnswer = Static<typeof StatusAnswer>;

/** `POST …/pairing-code`; the seed's shape. */
export const PairingCodeAnswer = Type.Object(
  {
    success: Type.Literal(true),
    companyId: Type.String(),
    pairingCode: Type.String(),
    code: Type.String(),
    expiresIn: Type.String({ description: 'e.g. "60 seconds"' }),
    expiresInSeconds: Type.Integer(),
    expiresAt: Timestamp,
    serverTime: Timestamp,
    attemptId: AttemptIdField,
    phoneNumber: PhoneField,
    codesLeft: Type.Integer(),
  },
  { $id: "PairingCodeAnswer" },
);
export type PairingCodeAnswer = Static<typeof PairingCodeAnswer>;

/** RFC 9457 with a stable `code`; `success: false` and `error` are the seed's. */
export const Problem = Type.Object(
  {
    type: Type.String(),
    title: Type.String(),
    status: Type.Integer(),
    detail: Type.Optional(Type.String()),
    code: Type.String(),
    success: Type.Literal(false),
    error: Type.String(),
    remedy: Type.String(),
    retry: oneOf(["now", "later", "never"] as const),
    requestId: Type.String(),
    errors: Type.Optional(
      Type.Array(Type.Object({ field: Type.String(), message: Type.String() })),
    ),
  },
  { $id: "Problem", additionalProperties: true },
);
export type Problem = Static<typeof Problem>;
