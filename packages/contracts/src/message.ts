/** The words for messages, and the shapes that events, answers and requests share. */
import { Type, type Static } from "typebox";
import {
  ChatIdField,
  ContactIdField,
  MediaIdField,
  MessageIdField,
  PhoneField,
  ProviderField,
  Timestamp,
  nullable,
  oneOf,
} from "./events/fields.ts";

/**
 * What a message is. `voice` was recorded in the chat, `audio` is a file. `contact` holds one card or several.
 * `flow_reply` is a form that was filled in; `system` is WhatsApp's own note (a person changed their number);
 * `template` and `interactive` (buttons, lists, links, forms) are only sent, by Meta numbers.
 * `welcome`: somebody opened the chat for the first time, and wrote nothing.
 * `unknown`: it could not be decrypted (yet); `unsupported`: it could, and is nothing we have a shape for.
 */
export const MESSAGE_TYPES = [
  "text",
  "image",
  "video",
  "voice",
  "audio",
  "document",
  "sticker",
  "location",
  "contact",
  "poll",
  "poll_vote",
  "button_reply",
  "list_reply",
  "flow_reply",
  "order",
  "call_permission",
  "template",
  "interactive",
  "system",
  "welcome",
  "unsupported",
  "unknown",
] as const;
export type MessageType = (typeof MESSAGE_TYPES)[number];

export const CHAT_TYPES = ["direct", "group"] as const;
export type ChatType = (typeof CHAT_TYPES)[number];

/** in: somebody wrote it; echo: the number's own phone or app did; out: we did. */
export const MESSAGE_DIRECTIONS = ["in", "echo", "out"] as const;
export type MessageDirection = (typeof MESSAGE_DIRECTIONS)[number];

/**
 * Of what we send: queued → sending → sent → delivered → read (→ played), or failed, expired, unknown (it may have been
 * sent; a later status tells). Of the others: received, echoed, or waiting (not decrypted yet).
 */
export const MESSAGE_STATES = [
  "received",
  "echoed",
  "waiting",
  "queued",
  "sending",
  "sent",
  "delivered",
  "read",
  "played",
  "unknown",
  "failed",
  "expired",
] as const;
export type MessageState = (typeof MESSAGE_STATES)[number];

/** So many characters of a text go into an event; the whole is in `GET …/messages/:id`. */
export const EVENT_TEXT_LENGTH = 32_768;

const text = (description: string) => nullable(Type.String({ description }));

/** A person as WhatsApp names them. LID, phone and business-scoped id are different things; each may be unknown. */
export const PersonField = Type.Object(
  {
    contactId: nullable(ContactIdField),
    phone: nullable(PhoneField),
    lid: text("digits of the @lid address; never a phone number"),
    userId: text("business-scoped id"),
    username: text("as last heard"),
    name: text("what the person calls themselves"),
  },
  { title: "person" },
);

export const ChatField = Type.Object(
  {
    id: ChatIdField,
    type: oneOf(CHAT_TYPES),
    contactId: nullable(ContactIdField),
    phone: nullable(PhoneField),
    name: text("of the person or the group"),
  },
  { title: "chat" },
);

/** The bytes are fetched with `GET …/media/:id`, which may have to get them from WhatsApp first. */
export const MediaField = Type.Object(
  {
    id: MediaIdField,
    mimeType: Type.String(),
    bytes: nullable(Type.Integer({ minimum: 0 })),
    sha256: text("of the file, base64"),
    fileName: text("as its sender named it"),
    seconds: Type.Optional(Type.Number({ minimum: 0 })),
    width: Type.Optional(Type.Integer({ minimum: 0 })),
    height: Type.Optional(Type.Integer({ minimum: 0 })),
    isAnimated: Type.Optional(Type.Boolean()),
  },
  { title: "media" },
);

export const ErrorField = Type.Object(
  {
    code: Type.String(),
    title: Type.String(),
    details: Type.Optional(Type.String({ description: "what the provider adds" })),
  },
  { title: "error" },
);
export type MessageError = Static<typeof ErrorField>;

/** What the provider charges for a message, in its own words. */
export const PricingField = Type.Object(
  {
    isBillable: Type.Boolean(),
    model: text("e.g. PMP: per message"),
    kind: text("regular, free_customer_service, free_entry_point"),
    category: text("e.g. marketing, utility, authentication, service"),
  },
  { title: "pricing" },
);
export type Pricing = Static<typeof PricingField>;

/** What a message answers. `messageId`: ours, when we know that message. */
export const ContextField = Type.Object(
  {
    providerMessageId: Type.String(),
    messageId: nullable(MessageIdField),
  },
  { title: "context" },
);

export const LocationField = Type.Object(
  {
    latitude: Type.Number({ minimum: -90, maximum: 90 }),
    longitude: Type.Number({ minimum: -180, maximum: 180 }),
    name: Type.Optional(Type.String()),
    address: Type.Optional(Type.String()),
    isLive: Type.Optional(Type.Boolean()),
  },
  { title: "location" },
);

export const ContactCardField = Type.Object(
  {
    name: Type.String(),
    phones: Type.Array(Type.String()),
    vcard: Type.Optional(Type.String()),
  },
  { title: "contact card" },
);

export const PollField = Type.Object(
  {
    name: Type.String(),
    options: Type.Array(Type.String()),
    selectable: Type.Integer({ minimum: 0, description: "options one may choose; 0: any number" }),
  },
  { title: "poll" },
);

export const PollVoteField = Type.Object(
  {
    providerMessageId: Type.String({ description: "of the poll" }),
    options: nullable(
      Type.Array(Type.String(), {
        description:
          "all that the voter has chosen now, in place of their earlier votes; none: taken back; null: could not be read",
      }),
    ),
  },
  { title: "poll vote" },
);

export const SelectionField = Type.Object(
  {
    id: Type.String({ description: "of the button or row" }),
    title: Type.String(),
  },
  { title: "selection" },
);

/** What somebody filled in; the values are as the form names them. */
export const FlowReplyField = Type.Object(
  {
    name: Type.String(),
    body: text("what the chat shows"),
    token: text("the flow token that was sent, if any"),
    response: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  },
  { title: "flow reply" },
);

export const OrderField = Type.Object(
  {
    catalogId: Type.String(),
    note: text("written by the customer"),
    items: Type.Array(
      Type.Object({
        productId: Type.String(),
        quantity: Type.String(),
        price: Type.String(),
        currency: Type.String(),
      }),
    ),
  },
  { title: "order" },
);

/** WhatsApp's own note. `phone`, `userId`: what is true from now on, when the note is about that. */
export const SystemField = Type.Object(
  { kind: Type.String(), phone: nullable(PhoneField), userId: text("business-scoped id") },
  { title: "system note" },
);

export const TemplateField = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 512 }),
    language: Type.String({ pattern: "^[a-z]{2,3}(_[A-Za-z]{2,4})?$", description: "e.g. en_US" }),
    components: Type.Optional(
      Type.Array(Type.Record(Type.String(), Type.Unknown()), {
        maxItems: 20,
        description: "as Meta's Cloud API takes them",
      }),
    ),
  },
  { title: "template", additionalProperties: false },
);

/** The advertisement or post that led here. */
export const ReferralField = Type.Object(
  {
    url: text("of the advertisement"),
    id: text("of the advertisement"),
    kind: text("ad or post"),
    headline: text(""),
    body: text(""),
    clickId: text("ctwa_clid"),
  },
  { title: "referral" },
);

export const ProductField = Type.Object(
  { catalogId: Type.String(), productId: Type.String() },
  { title: "product" },
);

/** What only some kinds of messages have. */
export const contentFields = {
  location: Type.Optional(LocationField),
  contacts: Type.Optional(Type.Array(ContactCardField)),
  poll: Type.Optional(PollField),
  pollVote: Type.Optional(PollVoteField),
  selection: Type.Optional(SelectionField),
  flowReply: Type.Optional(FlowReplyField),
  order: Type.Optional(OrderField),
  callPermission: Type.Optional(Type.Object({ response: Type.String() })),
  system: Type.Optional(SystemField),
  referral: Type.Optional(ReferralField),
  product: Type.Optional(ProductField),
  errors: Type.Optional(Type.Array(ErrorField)),
  original: Type.Optional(
    Type.Unknown({ description: "as the provider sent it, of what we have no shape for" }),
  ),
  template: Type.Optional(TemplateField),
  interactive: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  isViewOnce: Type.Optional(Type.Boolean()),
  isForwarded: Type.Optional(Type.Boolean()),
  isTruncated: Type.Optional(
    Type.Boolean({ description: "too long for an event; GET …/messages/:id has all of it" }),
  ),
};

/** A message as events and answers tell it: one shape for all providers. */
export const MessageData = Type.Object({
  messageId: MessageIdField,
  providerMessageId: Type.String({ description: "WhatsApp's id" }),
  provider: ProviderField,
  chat: ChatField,
  from: PersonField,
  type: oneOf(MESSAGE_TYPES),
  text: text("the text, the caption, or the id or title of what was selected"),
  media: nullable(MediaField),
  context: nullable(ContextField),
  at: Timestamp,
  ...contentFields,
});
export type MessageData = Static<typeof MessageData>;

const ContentFields = Type.Object(contentFields);
/** What a message says besides its text and its file. */
export type MessageContent = Static<typeof ContentFields>;
export type Person = Static<typeof PersonField>;
export type Chat = Static<typeof ChatField>;
export type Media = Static<typeof MediaField>;

/**
 * Orders the states of what we send: one with a smaller or equal rank never follows. A message that failed may
 * turn out to be delivered after all.
 */
export const STATE_RANK = {
  queued: 0,
  sending: 1,
  unknown: 2,
  sent: 3,
  failed: 4,
  expired: 4,
  delivered: 5,
  read: 6,
  played: 7,
} as const satisfies Partial<Record<MessageState, number>>;

/** What becomes of a message that is sent. */
export type SendState = Exclude<keyof typeof STATE_RANK, "queued" | "sending">;

/** Changes of earlier messages; they wait in the queue of their chat like messages. */
export const CHANGE_TYPES = ["reaction", "edit", "delete"] as const;
export type ChangeType = (typeof CHANGE_TYPES)[number];

/** 0: to somebody who wrote within a day; 1: the rest; 2: bulk. A lower one goes first. */
export const LANES = { reply: 0, usual: 1, bulk: 2 } as const;

/** How long a message may wait to be sent, seconds. */
export const SEND_LIFE = { least: 10, usual: 86_400, most: 604_800 } as const;
/** So many messages of a company may wait to be sent, unless its `limits` say otherwise. */
export const QUEUE_LENGTH = 10_000;
