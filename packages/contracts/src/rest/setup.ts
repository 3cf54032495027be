/** Why a number does or does not work, step by step. */
import { Type, type Static } from "typebox";
import { NumberIdField, nullable, oneOf } from "../events/fields.ts";

export const SetupCheck = Type.Object({
  name: oneOf([
    "token",
    "scopes",
    "expiry",
    "token_alone",
    "number",
    "account",
    "subscription",
    "verify_token",
    "test_event",
    "encryption_key",
  ]),
  state: oneOf(["ok", "warning", "failed"]),
  detail: Type.String({ description: "what was found; never the token" }),
  toDo: nullable(Type.String({ description: "what a person can do about it" })),
});
export type SetupCheck = Static<typeof SetupCheck>;

/** `POST …/numbers/:numberId/check` */
export const SetupAnswer = Type.Object(
  {
    success: Type.Literal(true),
    isReady: Type.Boolean({ description: "no step has failed" }),
    checks: Type.Array(SetupCheck),
  },
  { $id: "SetupAnswer" },
);
export type SetupAnswer = Static<typeof SetupAnswer>;

const count = (description: string) => Type.Integer({ minimum: 0, description });

/** `GET …/numbers/:numberId/usage` */
export const UsageAnswer = Type.Object(
  {
    success: Type.Literal(true),
    numberId: NumberIdField,
    from: Type.String({ description: "first day, YYYY-MM-DD (UTC)" }),
    to: Type.String({ description: "last day" }),
    totals: Type.Object({
      priced: count("messages that Meta has told a price of"),
      delivered: count("of these, the ones that arrived"),
      billable: count("of these, the ones that are charged for"),
    }),
    usage: Type.Array(
      Type.Object({
        day: Type.String(),
        category: Type.String({ description: "as Meta calls it: marketing, utility, service, …" }),
        kind: Type.String({ description: "regular, free_customer_service, free_entry_point" }),
        isBillable: Type.Boolean(),
        priced: count("messages"),
        delivered: count("messages"),
      }),
    ),
    portfolio: nullable(
      Type.Object({
        id: Type.String(),
        limit: nullable(Type.String({ description: "people a day, as Meta calls it: TIER_2K, …" })),
        people: count(
          "people whom all its numbers together wrote to first in the last 24 hours, as far as their messages went through here",
        ),
      }),
    ),
  },
  { $id: "UsageAnswer" },
);
export type UsageAnswer = Static<typeof UsageAnswer>;
