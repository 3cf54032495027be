/** Manyline for programs: a typed REST client, and subscribers to events. */
export { ManylineClient } from "./client.ts";
export type { ClientOptions, Download, Sendable, Signal } from "./client.ts";
export { ManylineApiError, ManylineUnreachable } from "./errors.ts";
export { isEvent } from "./events.ts";
export type { ManylineEvent } from "./events.ts";
export { natsSource } from "./nats-source.ts";
export type { NatsOptions } from "./nats-source.ts";
export { StreamEnded, sseSource } from "./sse-source.ts";
export type { SseOptions } from "./sse-source.ts";
export { SubscriptionEnded, subscribe } from "./subscription.ts";
export type {
  EventHandler,
  EventSource,
  Inbox,
  SubscribeOptions,
  Subscription,
} from "./subscription.ts";
/** The definitions of events, for `isEvent`, and the shapes that REST answers with. */
export {
  contactCreated,
  contactMerged,
  messageDeleted,
  messageDelivered,
  messageEchoed,
  messageEdited,
  messageExpired,
  messageFailed,
  messageQueued,
  messageReaction,
  messageRead,
  messageReceived,
  messageSent,
  messageUnknown,
  messageWaiting,
} from "@manyline/contracts";
export type {
  ChatList,
  ChatSummary,
  CheckAnswer,
  Contact,
  ContactList,
  Message,
  MessageData,
  MessageList,
  SendAnswer,
  SendMessage,
  StatusAnswer,
  UploadAnswer,
} from "@manyline/contracts";
