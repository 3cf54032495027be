/** Sending messages and reading them, people and chats. One schema per kind; what does not fit is refused before anything is queued. */
import { Type, type Static } from "typebox";
import {
  ChatIdField,
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
  LocationField,
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

const string = (most: number, description?: string) =>
  Type.String({ minLength: 1, maxLength: most, ...(description ? { description } : {}) });

const common = {
  to: string(
    128,
    "a phone number as people write it, con_…, cht_…, <digits>@lid or <digits>@g.us; the scope of a number's chats",
  ),
  replyTo: Type.Optional(
    Type.String({
      ...MessageIdField,
      description: "the message that this one answers",
    }),
  ),
  isBulk: Type.Optional(
    Type.Boolean({ description: "goes behind everything that is not, e.g. a newsletter" }),
  ),
  expiresInSeconds: Type.Optional(
    Type.Integer({
      minimum: SEND_LIFE.least,
      maximum: SEND_LIFE.most,
      description: `how long it may wait to be sent; ${SEND_LIFE.usual} unless said, then message.expired`,
    }),
  ),
};

/** Where a file comes from: uploaded before, or fetched now from a public address. Exactly one. */
const file = {
  mediaId: Type.Optional(MediaIdField),
  url: Type.Optional(
    Type.String({
      maxLength: SEND_LENGTHS.url,
      pattern: "^https?://",
      description: "fetched before anything is queued; private addresses are refused",
    }),
  ),
};
const caption = Type.Optional(Type.String({ maxLength: SEND_LENGTHS.caption }));
const target = Type.Object({ ...MessageIdField.properties } as never);
void target;

/** Strict objects: an unknown field is an error, not a wish that nobody hears. */
const kind = <Name extends string, Fields extends Parameters<typeof Type.Object>[0]>(
  name: Name,
  fields: Fields,
) =>
  Type.Object(
    { ...common, type: Type.Literal(name), ...fields },
    { additionalProperties: false },
  );

export const SEND_KINDS = {
  text: kind("text", { text: string(SEND_LENGTHS.text) }),
  image: kind("image", { ...file, caption, isViewOnce: Type.Optional(Type.Boolean()) }),
  video: kind("video", { ...file, caption, isViewOnce: Type.Optional(Type.Boolean()) }),
  voice: kind("voice", { ...file }),
  audio: kind("audio", { ...file }),
  document: kind("document", {
    ...file,
    caption,
    fileName: Type.Optional(string(SEND_LENGTHS.fileName)),
  }),
  sticker: kind("sticker", { ...file }),
  location: kind("location", { location: Type.Omit(LocationField, ["isLive"]) }),
  contact: kind("contact", {
    contacts: Type.Array(
      Type.Object(
        {
          name: string(SEND_LENGTHS.name),
          phones: Type.Array(string(40), { minItems: 1, maxItems: 10 }),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, maxItems: 20 },
    ),
  }),
  poll: kind("poll", {
    poll: Type.Object(
      {
        name: string(SEND_LENGTHS.name),
        options: Type.Array(string(100), { minItems: 2, maxItems: 12, uniqueItems: true }),
        selectable: Type.Optional(
          Type.Integer({ minimum: 0, maximum: 12, description: "1 unless said; 0: any number" }),
        ),
      },
      { additionalProperties: false },
    ),
  }),
  reaction: kind("reaction", {
    messageId: MessageIdField,
    emoji: nullable(Type.String({ minLength: 1, maxLength: 32, description: "null takes it back" })),
  }),
  edit: kind("edit", { messageId: MessageIdField, text: string(SEND_LENGTHS.text) }),
  delete: kind("delete", { messageId: MessageIdField }),
} as const;
export type SendKind = keyof typeof SEND_KINDS;

/** `POST …/messages` */
export const SendMessage = Type.Union(Object.values(SEND_KINDS), { $id: "SendMessage" });
export type SendMessage = { [Kind in SendKind]: Static<(typeof SEND_KINDS)[Kind]> }[SendKind];
