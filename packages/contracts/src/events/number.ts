/** Facts about a number itself. */
import { Type } from "typebox";
import { RestrictionField } from "../restriction.ts";
import { defineEvent } from "./define.ts";
import { PhoneField, ProviderField, nullable } from "./fields.ts";

export const numberRestricted = defineEvent({
  type: "number.restricted",
  version: 1,
  description:
    "WhatsApp does not let the connected number send everything, until `until`; what cannot go waits in the queue. `restriction` null: it is over.",
  data: Type.Object({
    provider: ProviderField,
    phone: nullable(PhoneField),
    restriction: nullable(RestrictionField),
  }),
});
