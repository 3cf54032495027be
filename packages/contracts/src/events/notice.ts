/** What a provider tells of a number, an account, a template or a call: one shape, its own words in `details`. */
import { Type } from "typebox";
import { ErrorField } from "../message.ts";
import { ProviderField, Timestamp, nullable } from "./fields.ts";

const text = (description: string) => nullable(Type.String({ description }));

/**
 * `details` holds what came, but for zero bytes and halves of characters; it is null and `isTruncated` true when that is
 * too large for an event. Then, and only then, the whole is kept with the webhooks that could not be routed.
 */
export const noticeFields = {
  provider: ProviderField,
  field: Type.String({ description: "the provider's name for this kind of news" }),
  event: text("what happened, in the provider's word"),
  accountId: text("of the WhatsApp Business Account"),
  phoneNumberId: text("Meta's id of the number"),
  displayPhone: text("as the provider writes it; no identifier"),
  at: Timestamp,
  errors: Type.Optional(Type.Array(ErrorField)),
  details: Type.Unknown(),
  isTruncated: Type.Optional(Type.Boolean()),
};
