/** Sending messages and reading them, people and chats. One schema per kind; what does not fit is refused before anything is queued. */
import { Type, type Static } from "typebox";
import { idPattern } from "../ids.ts";
import {
  ContactIdField,
  MediaIdField,
  MessageIdField,
  NumberIdField,
  PhoneField,
  Timestamp,
  nullable,
  oneOf,
} from "../events/fields.ts";
import {
  CHANGE_TYPES,
  ChatField,
  ErrorField,
  MESSAGE_DIRECTIONS,
  MESSAGE_STATES,
  MESSAGE_TYPES,
  MessageData,
  PersonField,
  SEND_LIFE,
} from "../message.ts";

/** Characters; WhatsApp cuts what is longer. */
export const SEND_LENGTHS = {
  text: 65_536,
  caption: 1_024,
  fileName: 255,
  name: 255,
  url: 2_048,
} as const;
/** Bytes of a file that is sent, by kind, as WhatsApp takes them. */
export const SEND_BYTES = {
  image: 16 * 1_048_576,
  sticker: 1_048_576,
  voice: 16 * 1_048_576,
  audio: 16 * 1_048_576,
  video: 64 * 1_048_576,
  document: 100 * 1_048_576,
} as const;
export type FileKind = keyof typeof SEND_BYTES;

/** Several lines of text, without what Postgres and WhatsApp choke on. */
const TEXT = "^[^\\u0000\\p{Cs}]*$";
const text = (most: number, description?: string) =>
  Type.String({
    minLength: 1,
    maxLength: most,
    pattern: TEXT,
    ...(description ? { description } : {}),
  });

const common = {
  to: text(
    128,
    "a phone number as people write it, con_…, cht_…, <digits>@lid or <digits>@g.us (a group)",
  ),
  replyTo: Type.Optional(
    Type.String({ pattern: idPattern("msg"), description: "the message that this one answers" }),
  ),
  isBulk: Type.Optional(
    Type.Boolean({ description: "goes behind everything that is not, e.g. a newsletter" }),
  ),
  expiresInSeconds: Type.Optional(
    Type.Integer({
      minimum: SEND_LIFE.least,
      maximum: SEND_LIFE.most,
      description: `how long it may wait to be sent, ${SEND_LIFE.usual} unless said; then message.expired`,
    }),
  ),
};

/** Where a file comes from: uploaded before, or fetched now from a public address. Exactly one. */
const file = {
  mediaId: Type.Optional(MediaIdField),
  url: Type.Optional(
    Type.String({
      maxLength: SEND_LENGTHS.url,
      pattern: "^https?://[^\\s\\p{Cc}\\p{Cs}]+$",
      description: "fetched before anything is queued; private addresses are refused",
    }),
  ),
};
const caption = Type.Optional(text(SEND_LENGTHS.caption));
const isViewOnce = Type.Optional(Type.Boolean());

const Place = Type.Object(
  {
    latitude: Type.Number({ minimum: -90, maximum: 90 }),
    longitude: Type.Number({ minimum: -180, maximum: 180 }),
    name: Type.Optional(text(SEND_LENGTHS.name)),
    address: Type.Optional(text(SEND_LENGTHS.caption)),
  },
  { additionalProperties: false },
);
const Card = Type.Object(
  {
    name: text(SEND_LENGTHS.name),
    phones: Type.Array(text(40), { minItems: 1, maxItems: 10 }),
  },
  { additionalProperties: false },
);
const Poll = Type.Object(
  {
    name: text(SEND_LENGTHS.name),
    options: Type.Array(text(100), { minItems: 2, maxItems: 12, uniqueItems: true }),
    selectable: Type.Optional(
      Type.Integer({ minimum: 0, maximum: 12, description: "1 unless said; 0: any number" }),
    ),
  },
  { additionalProperties: false },
);

/** An unknown field is an error, not a wish that nobody hears. */
const strict = { additionalProperties: false } as const;

/** What can be sent, one shape for each `type`. */
export const SEND_KINDS = {
  text: Type.Object(
    { ...common, type: Type.Literal("text"), text: text(SEND_LENGTHS.text) },
    strict,
  ),
  image: Type.Object(
    { ...common, type: Type.Literal("image"), ...file, caption, isViewOnce },
    strict,
  ),
  video: Type.Object(
    { ...common, type: Type.Literal("video"), ...file, caption, isViewOnce },
    strict,
  ),
  voice: Type.Object({ ...common, type: Type.Literal("voice"), ...file }, strict),
  audio: Type.Object({ ...common, type: Type.Literal("audio"), ...file }, strict),
  document: Type.Object(
    {
      ...common,
      type: Type.Literal("document"),
      ...file,
      caption,
      fileName: Type.Optional(text(SEND_LENGTHS.fileName)),
    },
    strict,
  ),
  sticker: Type.Object({ ...common, type: Type.Literal("sticker"), ...file }, strict),
  location: Type.Object({ ...common, type: Type.Literal("location"), location: Place }, strict),
  contact: Type.Object(
    {
      ...common,
      type: Type.Literal("contact"),
      contacts: Type.Array(Card, { minItems: 1, maxItems: 20 }),
    },
    strict,
  ),
  poll: Type.Object({ ...common, type: Type.Literal("poll"), poll: Poll }, strict),
  reaction: Type.Object(
    {
      type: Type.Literal("reaction"),
      messageId: MessageIdField,
      emoji: nullable(text(32, "null takes it back")),
    },
    strict,
  ),
  edit: Type.Object(
    { type: Type.Literal("edit"), messageId: MessageIdField, text: text(SEND_LENGTHS.text) },
    strict,
  ),
  delete: Type.Object({ type: Type.Literal("delete"), messageId: MessageIdField }, strict),
} as const;
export type SendKind = keyof typeof SEND_KINDS;
export const SEND_KIND_NAMES = Object.keys(SEND_KINDS) as SendKind[];

/** `POST …/messages` */
export const SendMessage = Type.Union(Object.values(SEND_KINDS), { $id: "SendMessage" });
export type SendMessage = { [Kind in SendKind]: Static<(typeof SEND_KINDS)[Kind]> }[SendKind];

/** 202: it waits, and will be sent or end in message.failed, expired or unknown. */
export const SendAnswer = Type.Object(
  {
    success: Type.Literal(true),
    messageId: MessageIdField,
    status: oneOf(MESSAGE_STATES),
    isRepeated: Type.Boolean({
      description:
        "this Idempotency-Key was used for the same request before; nothing new was queued",
    }),
  },
  { $id: "SendAnswer" },
);
export type SendAnswer = Static<typeof SendAnswer>;

/** A message as it is stored; what an event says of it, and what became of it. */
export const Message = Type.Object(
  {
    ...MessageData.properties,
    type: oneOf([...MESSAGE_TYPES, ...CHANGE_TYPES]),
    numberId: NumberIdField,
    direction: oneOf(MESSAGE_DIRECTIONS),
    status: oneOf(MESSAGE_STATES),
    statusAt: nullable(Timestamp),
    error: nullable(ErrorField),
    seq: Type.Integer({ description: "order within the chat" }),
    createdAt: Timestamp,
    editedAt: nullable(Timestamp),
    deletedAt: nullable(Timestamp),
    expiresAt: nullable(Timestamp),
    reactions: Type.Array(
      Type.Object({
        contactId: nullable(ContactIdField),
        emoji: Type.String(),
      }),
      { description: "contactId null: the number itself" },
    ),
  },
  { $id: "Message" },
);
export type Message = Static<typeof Message>;

const Cursor = nullable(
  Type.String({ description: "for the next page; null: this was the last one" }),
);

/** `GET …/messages`, the newest first */
export const MessageList = Type.Object(
  { success: Type.Literal(true), messages: Type.Array(Message), next: Cursor },
  { $id: "MessageList" },
);
export type MessageList = Static<typeof MessageList>;

export const Contact = Type.Object(
  {
    ...PersonField.properties,
    id: ContactIdField,
    contactId: ContactIdField,
    createdAt: Timestamp,
    updatedAt: Timestamp,
  },
  { $id: "Contact" },
);
export type Contact = Static<typeof Contact>;

/** `GET …/contacts`, the youngest first */
export const ContactList = Type.Object(
  { success: Type.Literal(true), contacts: Type.Array(Contact), next: Cursor },
  { $id: "ContactList" },
);
export type ContactList = Static<typeof ContactList>;

/** A conversation of a number. */
export const ChatSummary = Type.Object(
  {
    ...ChatField.properties,
    numberId: NumberIdField,
    lastMessageAt: nullable(Timestamp),
    lastInboundAt: nullable(Timestamp),
    seq: Type.Integer({ description: "of its last event" }),
  },
  { $id: "ChatSummary" },
);
export type ChatSummary = Static<typeof ChatSummary>;

/** So many phones can be asked about at once. */
export const CHECK_PHONES = 50;
/** `POST …/check` */
export const CheckPhones = Type.Object(
  {
    phones: Type.Array(text(40, "a phone number as people write it"), {
      minItems: 1,
      maxItems: CHECK_PHONES,
    }),
  },
  strict,
);
export type CheckPhones = Static<typeof CheckPhones>;
export const CheckAnswer = Type.Object(
  {
    success: Type.Literal(true),
    results: Type.Array(
      Type.Object({
        given: Type.String(),
        phone: nullable(PhoneField),
        isOnWhatsapp: Type.Boolean(),
        lid: nullable(Type.String()),
      }),
    ),
  },
  { $id: "CheckAnswer" },
);
export type CheckAnswer = Static<typeof CheckAnswer>;

/** `POST …/media`: the body is the file, its type in Content-Type, its name in `?fileName=`. */
export const UploadAnswer = Type.Object(
  {
    success: Type.Literal(true),
    mediaId: MediaIdField,
    mimeType: Type.String(),
    bytes: Type.Integer(),
    sha256: Type.String(),
  },
  { $id: "UploadAnswer" },
);
export type UploadAnswer = Static<typeof UploadAnswer>;
