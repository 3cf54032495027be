/** Customers' webhooks over REST: subscriptions, their secrets, what was delivered and what is had again. */
import { Type, type Static } from "typebox";
import { SubscriptionIdField, Timestamp, nullable, oneOf } from "../events/fields.ts";
import { WEBHOOK_FIGURES } from "../webhooks/rules.ts";

const strict = { additionalProperties: false } as const;

const UrlField = Type.String({
  maxLength: 2_048,
  pattern: "^https?://[^\\s\\p{Cc}\\p{Cs}]+$",
  description: "https, and its name leads to the public Internet; it is judged again at each call",
});
const EventsField = Type.Array(Type.String({ maxLength: 64 }), {
  minItems: 1,
  maxItems: 100,
  description:
    "names (`message.received`), families (`message.*`) or `*`; `pairing-code` only by its name",
});
const HeadersField = Type.Record(
  Type.String({ pattern: "^[A-Za-z0-9-]{1,64}$" }),
  Type.String({ maxLength: 1_024, pattern: "^[\\x20-\\x7e]*$" }),
  {
    // A name that is none would be one that nobody looks at.
    additionalProperties: false,
    maxProperties: 20,
    description: "sent along with each call, e.g. `authorization`; never shown again",
  },
);

export const Webhook = Type.Object(
  {
    id: SubscriptionIdField,
    url: UrlField,
    events: EventsField,
    isEnabled: Type.Boolean({
      description: "false: a person, or a day of nothing but failures, has switched it off",
    }),
    failures: Type.Integer({ minimum: 0, description: "in a row; 0: the last call went well" }),
    failingSince: nullable(Timestamp),
    lastError: nullable(
      Type.String({ description: "`answered 503`, `timeout`, `address`, … of the last failure" }),
    ),
    formerSecretUntil: nullable(
      Type.String({ format: "date-time", description: "so long the former secret signs too" }),
    ),
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  { $id: "Webhook" },
);
export type Webhook = Static<typeof Webhook>;

/** `POST …/webhooks` */
export const CreateWebhook = Type.Object(
  {
    url: UrlField,
    events: EventsField,
    headers: Type.Optional(HeadersField),
  },
  strict,
);

/** `PATCH …/webhooks/:webhookId` */
export const ChangeWebhook = Type.Object(
  {
    url: Type.Optional(UrlField),
    events: Type.Optional(EventsField),
    headers: Type.Optional(HeadersField),
    isEnabled: Type.Optional(
      Type.Boolean({ description: "switching on forgets the failures, and what waits is sent" }),
    ),
  },
  strict,
);

/** `POST …/webhooks/:webhookId/rotate-secret` */
export const RotateWebhookSecret = Type.Object(
  {
    overlapHours: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: WEBHOOK_FIGURES.mostOverlapHours,
        description: `how long the former secret signs too, ${WEBHOOK_FIGURES.overlapHours} unless said`,
      }),
    ),
  },
  strict,
);

export const DELIVERY_STATES = ["waiting", "delivered", "dead"] as const;

/** One event for one webhook. The event itself is not in it: it is read from the log when it is sent. */
export const WebhookDelivery = Type.Object(
  {
    eventId: Type.String({ description: "the `webhook-id` of each call" }),
    type: Type.String(),
    state: oneOf(DELIVERY_STATES, "dead: never tried again, unless it is replayed"),
    isLate: Type.Boolean({
      description: "out of the order of its chat, after three failures or by a replay",
    }),
    attempts: Type.Integer({ minimum: 0 }),
    status: nullable(Type.Integer({ description: "the last answer; null: there was none" })),
    error: nullable(
      Type.String({
        description:
          "why there was none: timeout, unreachable, address, too_large, bad_url; too_late: the code had ended; event_gone: the log holds it no more",
      }),
    ),
    latencyMs: nullable(Type.Integer({ description: "of the last try" })),
    createdAt: Timestamp,
    nextTryAt: nullable(Timestamp),
    endedAt: nullable(Timestamp),
  },
  { $id: "WebhookDelivery" },
);
export type WebhookDelivery = Static<typeof WebhookDelivery>;

/** `POST …/webhooks/:webhookId/replay` */
export const ReplayWebhook = Type.Union([
  Type.Object({ state: Type.Literal("dead", { description: "all that were given up" }) }, strict),
  Type.Object(
    {
      from: Type.String({ format: "date-time" }),
      to: Type.String({
        format: "date-time",
        description:
          "all events of that time that it asks for, delivered or not, as far as the log goes back (8 days)",
      }),
    },
    strict,
  ),
]);
