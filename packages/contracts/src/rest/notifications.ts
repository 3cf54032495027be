/** What the people of a company were told by mail and SMS, over REST. */
import { Type, type Static } from "typebox";
import { NumberIdField, Timestamp, nullable, oneOf } from "../events/fields.ts";
import { NOTICE_KINDS } from "../notices/texts/shape.ts";

export const NOTIFICATION_STATES = ["waiting", "sent", "failed", "over"] as const;

/** `GET …/notifications` */
export const Notification = Type.Object(
  {
    kind: oneOf(NOTICE_KINDS),
    numberId: nullable(NumberIdField),
    channel: oneOf(["email", "sms"] as const),
    address: Type.String({ description: "whom it is for: a mail address, or E.164 digits" }),
    state: oneOf(NOTIFICATION_STATES),
    isRepeat: Type.Boolean({ description: "it may have arrived twice" }),
    letterId: Type.String({ description: "the mail or SMS it is in; several notices share one" }),
    tries: Type.Array(
      Type.Object({
        at: Type.String(),
        outcome: Type.String({
          description: "`sent`, `wrong_address`, `down`, …; see docs/notifications.md",
        }),
        code: nullable(Type.String({ description: "the provider's own word for it" })),
        latencyMs: Type.Integer({ minimum: 0 }),
      }),
    ),
    createdAt: Timestamp,
    endedAt: nullable(Timestamp),
  },
  { $id: "Notification" },
);
export type Notification = Static<typeof Notification>;
