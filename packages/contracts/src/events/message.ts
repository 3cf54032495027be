/**
 * Facts about messages: what came, what was sent and what became of it. `seq` of the envelope grows within a chat.
 * Of a message that was not sent from here, statuses have neither `messageId`, `chat` nor `seq`.
 */
import { Type } from "typebox";
import { ChatField, ErrorField, MessageData, PersonField, PricingField } from "../message.ts";
import { defineEvent } from "./define.ts";
import { MessageIdField, ProviderField, Timestamp, nullable } from "./fields.ts";

const StatusData = Type.Object({
  messageId: nullable(MessageIdField),
  providerMessageId: Type.String({ description: "WhatsApp's id" }),
  chat: nullable(ChatField),
  recipient: PersonField,
  at: Timestamp,
  error: nullable(ErrorField),
  providerStatus: Type.Optional(
    Type.String({ description: "the provider's own word, where it says more than the event" }),
  ),
  pricing: Type.Optional(PricingField),
});

/** A change to an earlier message; `messageId` is null when that message is not known (any more). */
const target = {
  messageId: nullable(MessageIdField),
  providerMessageId: Type.String({ description: "WhatsApp's id of the message that is changed" }),
  provider: ProviderField,
  chat: ChatField,
  from: Type.Object(PersonField.properties, {
    title: "person",
    description:
      "who changed it; without a contactId the number itself, in its own app or through us: nothing to answer",
  }),
  at: Timestamp,
  changeProviderMessageId: Type.Optional(
    Type.String({ description: "WhatsApp's id of the change itself, where it has one" }),
  ),
};

export const messageReceived = defineEvent({
  type: "message.received",
  version: 1,
  description:
    "Somebody wrote to the number. It is stored; WhatsApp will not deliver it again. After message.waiting the same `messageId` comes again, now readable.",
  data: MessageData,
});
export const messageEchoed = defineEvent({
  type: "message.echoed",
  version: 1,
  description:
    "The number's own phone or another of its devices wrote this. `chat` tells to whom; `from` is the number itself, without a contactId.",
  data: MessageData,
});
export const messageImported = defineEvent({
  type: "message.imported",
  version: 1,
  description:
    "An old message of a number that also lives in WhatsApp's app, told when its history was shared. It is stored; never answer it.",
  data: MessageData,
});
export const messageWaiting = defineEvent({
  type: "message.waiting",
  version: 1,
  description:
    "A message came that cannot be decrypted; its sender's phone was asked for it again. message.received with the same `messageId` follows if it answers; it may never.",
  data: MessageData,
});
export const messageQueued = defineEvent({
  type: "message.queued",
  version: 1,
  description:
    "A message waits to be sent; `from` is the number itself. Ends with message.sent, failed, expired or unknown.",
  data: MessageData,
});
export const messageSent = defineEvent({
  type: "message.sent",
  version: 1,
  description: "WhatsApp has taken the message (one tick). Does not promise that it is delivered.",
  data: StatusData,
});
export const messageDelivered = defineEvent({
  type: "message.delivered",
  version: 1,
  description:
    "A device of the recipient has it (two ticks). In a group: of the first member. May be left out when message.read follows at once.",
  data: StatusData,
});
export const messageRead = defineEvent({
  type: "message.read",
  version: 1,
  description: "The recipient has seen it, and lets this be known. In a group: the first member.",
  data: StatusData,
});
export const messagePlayed = defineEvent({
  type: "message.played",
  version: 1,
  description: "The recipient has listened to the voice message. Only some providers tell.",
  data: StatusData,
});
export const messageFailed = defineEvent({
  type: "message.failed",
  version: 1,
  description: "It was not sent and will not be; `error` says why. Send a new one, if that helps.",
  data: StatusData,
});
export const messageUnknown = defineEvent({
  type: "message.unknown",
  version: 1,
  description:
    "It may or may not have been sent: the connection broke at the wrong moment and this provider cannot be asked. A later status decides; tell a person before sending again.",
  data: StatusData,
});
export const messageExpired = defineEvent({
  type: "message.expired",
  version: 1,
  description: "It waited in the queue until its time was over, and was not sent.",
  data: StatusData,
});
export const messageEdited = defineEvent({
  type: "message.edited",
  version: 1,
  description: "The text of an earlier message was changed by its author.",
  data: Type.Object({ ...target, text: nullable(Type.String()) }),
});
export const messageDeleted = defineEvent({
  type: "message.deleted",
  version: 1,
  description:
    "An earlier message was deleted for everyone, by its author or a group's admin. Its text and file are erased here; erase your copy.",
  data: Type.Object(target),
});
export const messageReaction = defineEvent({
  type: "message.reaction",
  version: 1,
  description: "Somebody reacted to a message, or took the reaction back (`emoji` null).",
  data: Type.Object({ ...target, emoji: nullable(Type.String()) }),
});
