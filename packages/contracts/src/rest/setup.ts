/** Why a number does or does not work, step by step. */
import { Type, type Static } from "typebox";
import { nullable, oneOf } from "../events/fields.ts";

export const SetupCheck = Type.Object({
  name: oneOf([
    "token",
    "scopes",
    "expiry",
    "token_alone",
    "number",
    "account",
    "subscription",
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
