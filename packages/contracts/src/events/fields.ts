/** Fields that several events share. */
import { Type, type TEnum } from "typebox";
import { idPattern } from "../ids.ts";
import { PAIRING_METHODS } from "../pairing.ts";
import { PROVIDERS, SESSION_REASON_CODES, SESSION_STATUSES } from "../session.ts";

/** RFC 3339 time in UTC with milliseconds. */
export const Timestamp = Type.String({
  format: "date-time",
  description: "RFC 3339, UTC, milliseconds",
});
export const AttemptIdField = Type.String({ pattern: idPattern("pai") });
export const NumberIdField = Type.String({ pattern: idPattern("num") });
export const MessageIdField = Type.String({ pattern: idPattern("msg") });
export const ChatIdField = Type.String({ pattern: idPattern("cht") });
export const ContactIdField = Type.String({ pattern: idPattern("con") });
export const MediaIdField = Type.String({ pattern: idPattern("med") });
export const SubscriptionIdField = Type.String({ pattern: idPattern("sub") });
export const PhoneField = Type.String({
  pattern: "^[1-9][0-9]{5,14}$",
  description: "E.164 digits without the plus",
});

/** A closed list of words as a schema. */
export function oneOf<const Values extends string[]>(
  values: readonly [...Values],
  description?: string,
): TEnum<Values> {
  return Type.Enum([...values] as [...Values], description ? { description } : {});
}

export const StatusField = oneOf(SESSION_STATUSES);
export const ReasonField = oneOf(SESSION_REASON_CODES, "see docs/state-machines.md");
export const ProviderField = oneOf(PROVIDERS);
export const MethodField = oneOf(PAIRING_METHODS);
export function nullable<Schema extends Parameters<typeof Type.Union>[0][number]>(schema: Schema) {
  return Type.Union([schema, Type.Null()]);
}
