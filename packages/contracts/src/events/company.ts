/**
 * Facts about companies and their numbers. Emitted by the gateway, `company.phone_missing` by the owner,
 * `company.webhook_disabled` by the notifier.
 */
import { Type } from "typebox";
import { defineEvent } from "./define.ts";
import {
  NumberIdField,
  PhoneField,
  ProviderField,
  SubscriptionIdField,
  Timestamp,
  nullable,
} from "./fields.ts";

const company = Type.Object({
  id: Type.String(),
  name: Type.String(),
  country: nullable(Type.String()),
  language: Type.String(),
  timezone: Type.String(),
  whatsappEnabled: Type.Boolean(),
});

export const companyCreated = defineEvent({
  type: "company.created",
  version: 1,
  description: "A company was created. It has no number yet, unless number.added follows.",
  data: company,
});
export const companyUpdated = defineEvent({
  type: "company.updated",
  version: 1,
  description: "Facts of the company changed; `changed` names the fields.",
  data: Type.Object({ ...company.properties, changed: Type.Array(Type.String()) }),
});
export const companyRemoved = defineEvent({
  type: "company.removed",
  version: 1,
  description: "The company was deleted, with its numbers, keys and stored credentials.",
  data: Type.Object({ id: Type.String() }),
});
export const companyPhoneMissing = defineEvent({
  type: "company.phone_missing",
  version: 1,
  description:
    "QRs went unscanned and no phone is stored to ask a code for. Emitted once until the phone changes; ask an administrator.",
  data: Type.Object({ numberId: NumberIdField }),
});
export const companyWebhookTested = defineEvent({
  type: "company.webhook_tested",
  version: 1,
  description:
    "Somebody asked for a call to a webhook, to see that it arrives. It goes to that one whatever it asks for.",
  data: Type.Object({ subscriptionId: SubscriptionIdField }),
});
export const companyWebhookDisabled = defineEvent({
  type: "company.webhook_disabled",
  version: 1,
  description:
    "A webhook of the company took nothing for more than a day and is called no more. What was not delivered is kept: mend the address, switch the webhook on, replay.",
  data: Type.Object({
    subscriptionId: SubscriptionIdField,
    host: Type.String({ description: "of its address" }),
    failingSince: Timestamp,
    lastError: Type.String({ description: "what came last: a status, or why there was none" }),
  }),
});

const number = Type.Object({
  numberId: NumberIdField,
  provider: ProviderField,
  name: nullable(Type.String()),
  phone: nullable(PhoneField),
  isPrimary: Type.Boolean(),
});
export const numberAdded = defineEvent({
  type: "number.added",
  version: 1,
  description: "A number was added to a company. It is not linked yet.",
  data: number,
});
export const numberUpdated = defineEvent({
  type: "number.updated",
  version: 1,
  description:
    "Name, phone, primary or desired state of a number changed; `changed` names the fields.",
  data: Type.Object({ ...number.properties, changed: Type.Array(Type.String()) }),
});
export const numberRemoved = defineEvent({
  type: "number.removed",
  version: 1,
  description:
    "A number was removed; its credentials are erased. Removing the primary promotes another (number.updated).",
  data: number,
});
