/** Facts about a WhatsApp Business Account: told once for each company that has a number there. */
import { Type } from "typebox";
import { defineEvent } from "./define.ts";
import { noticeFields } from "./notice.ts";

const notice = Type.Object(noticeFields);

export const accountChanged = defineEvent({
  type: "account.changed",
  version: 1,
  description:
    "The account was restricted, disabled, disconnected, given back, …: `event` says what. Some of it ends sending.",
  data: notice,
});
export const accountReviewed = defineEvent({
  type: "account.reviewed",
  version: 1,
  description: "WhatsApp has reviewed the account: `event` APPROVED, REJECTED, …",
  data: notice,
});
export const accountAlerted = defineEvent({
  type: "account.alerted",
  version: 1,
  description: "WhatsApp warns about the account; a person should read `details`.",
  data: notice,
});
export const accountLimitChanged = defineEvent({
  type: "account.limit_changed",
  version: 1,
  description: "What the account may do has changed: people a day, how many numbers.",
  data: notice,
});
export const accountFlowChanged = defineEvent({
  type: "account.flow_changed",
  version: 1,
  description:
    "A flow was published, throttled or blocked, or its endpoint is slow or fails: `event` says what.",
  data: notice,
});
export const accountNotified = defineEvent({
  type: "account.notified",
  version: 1,
  description:
    "Something about the account that has no event of its own, as the provider tells it. New kinds appear here first.",
  data: notice,
});
