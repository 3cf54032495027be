/** Facts about a number itself. */
import { Type } from "typebox";
import { RestrictionField } from "../restriction.ts";
import { defineEvent } from "./define.ts";
import { PhoneField, ProviderField, Timestamp, nullable } from "./fields.ts";
import { noticeFields } from "./notice.ts";

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

export const numberTokenExpiring = defineEvent({
  type: "number.token_expiring",
  version: 1,
  description:
    "The access token of the number ends at `expiresAt`, within `days` days. Told once 30, 14, 7, 3 and 1 days before, or as soon as it is known, until there is another token. Set a new one (PATCH): afterwards nothing can be sent.",
  data: Type.Object({
    provider: ProviderField,
    expiresAt: Timestamp,
    days: Type.Integer({ minimum: 1, description: "the threshold that was passed" }),
  }),
});

const notice = Type.Object(noticeFields);

export const numberQualityChanged = defineEvent({
  type: "number.quality_changed",
  version: 1,
  description:
    "WhatsApp judges the quality of what the number sends: `event` FLAGGED, UNFLAGGED, … Send less, and only what is wanted.",
  data: notice,
});
export const numberLimitChanged = defineEvent({
  type: "number.limit_changed",
  version: 1,
  description:
    "How many people may be written to, or how fast, has changed; `details` hold the limits as WhatsApp names them.",
  data: notice,
});
export const numberNameReviewed = defineEvent({
  type: "number.name_reviewed",
  version: 1,
  description: "WhatsApp has decided on the name the number shows: `event` APPROVED, REJECTED, …",
  data: notice,
});
export const numberSecurityChanged = defineEvent({
  type: "number.security_changed",
  version: 1,
  description:
    "The PIN of the number was changed, or somebody asks for that. If nobody of yours did, look at once.",
  data: notice,
});
export const numberErrorReported = defineEvent({
  type: "number.error_reported",
  version: 1,
  description: "WhatsApp tells of an error that belongs to no single message; see `errors`.",
  data: notice,
});
export const numberHistoryShared = defineEvent({
  type: "number.history_shared",
  version: 1,
  description:
    "A piece of the number's old chats came, its messages as message.imported; or (`errors`) its owner does not share them. `details.placeholders` are messages with files: those of the last two weeks come later, as message.imported with the same ids.",
  data: notice,
});
export const numberGroupChanged = defineEvent({
  type: "number.group_changed",
  version: 1,
  description: "A group of the number was made, changed or ended, or its members changed.",
  data: notice,
});
export const numberNotified = defineEvent({
  type: "number.notified",
  version: 1,
  description:
    "Something about the number that has no event of its own, as the provider tells it. New kinds appear here first.",
  data: notice,
});
