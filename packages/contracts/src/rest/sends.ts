/** What can be sent over REST: one schema per kind; what does not fit is refused before anything is queued. */
import { Type, type Static } from "typebox";
import { idPattern } from "../ids.ts";
import { MediaIdField, MessageIdField, nullable, oneOf } from "../events/fields.ts";
import { SEND_LIFE, TemplateField } from "../message.ts";

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
export const FILE_KINDS = Object.keys(SEND_BYTES) as FileKind[];
/** What WhatsApp shows as this kind, in lower case and without parameters; a document may be anything. */
export const SEND_MIME: Readonly<Record<FileKind, RegExp>> = {
  image: /^image\/(jpeg|png|webp)$/,
  sticker: /^image\/webp$/,
  voice: /^audio\/(ogg|opus)$/,
  audio: /^audio\/(ogg|opus|mpeg|mp4|aac|amr|wav|x-wav|x-m4a)$/,
  video: /^video\/(mp4|3gpp|quicktime)$/,
  document: /^[a-z0-9][a-z0-9!#$&^_.+-]*\/[a-z0-9][a-z0-9!#$&^_.+-]*$/,
};
/** So many messages can be marked as read at once. */
export const READ_MESSAGES = 100;
export const TYPING_STATES = ["typing", "recording", "paused"] as const;

/** Several lines of text, without what Postgres and WhatsApp choke on: control characters, halves of characters. */
const TEXT = "^[^\\u0000-\\u0008\\u000b\\u000c\\u000e-\\u001f\\u007f\\p{Cs}]*$";
const text = (most: number, description?: string) =>
  Type.String({
    minLength: 1,
    maxLength: most,
    pattern: TEXT,
    ...(description ? { description } : {}),
  });

const to = text(
  128,
  "a phone number as people write it, con_…, cht_…, <digits>@lid or <digits>@g.us (a group)",
);
const expiresInSeconds = Type.Optional(
  Type.Integer({
    minimum: SEND_LIFE.least,
    maximum: SEND_LIFE.most,
    description: `how long it may wait to be sent, ${SEND_LIFE.usual} unless said; then message.expired`,
  }),
);
const common = {
  to,
  replyTo: Type.Optional(
    Type.String({ pattern: idPattern("msg"), description: "the message that this one answers" }),
  ),
  isBulk: Type.Optional(
    Type.Boolean({ description: "goes behind everything that is not, e.g. a newsletter" }),
  ),
  expiresInSeconds,
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
  mimeType: Type.Optional(
    Type.String({
      maxLength: 100,
      pattern: "^[\\x21-\\x7e][\\x20-\\x7e]*$",
      description: "only if the server of `url` names a wrong one",
    }),
  ),
};
const caption = Type.Optional(text(SEND_LENGTHS.caption));
const seconds = Type.Optional(
  Type.Number({
    minimum: 0,
    maximum: 86_400,
    description: "its length, as the recipient is shown",
  }),
);
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
    vcard: Type.Optional(text(8_192, "made of name and phones, unless given")),
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
  voice: Type.Object(
    { ...common, type: Type.Literal("voice"), ...file, seconds, isViewOnce },
    strict,
  ),
  audio: Type.Object({ ...common, type: Type.Literal("audio"), ...file, seconds }, strict),
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
  template: Type.Object(
    { ...common, type: Type.Literal("template"), template: TemplateField },
    { ...strict, description: "Meta numbers only" },
  ),
  interactive: Type.Object(
    {
      ...common,
      type: Type.Literal("interactive"),
      interactive: Type.Record(Type.String(), Type.Unknown(), {
        description: "buttons, a list, a link or a form, as Meta's Cloud API takes it",
      }),
    },
    { ...strict, description: "Meta numbers only" },
  ),
  reaction: Type.Object(
    {
      type: Type.Literal("reaction"),
      expiresInSeconds,
      messageId: MessageIdField,
      emoji: nullable(text(32, "null takes it back")),
    },
    strict,
  ),
  edit: Type.Object(
    {
      type: Type.Literal("edit"),
      expiresInSeconds,
      messageId: MessageIdField,
      text: text(SEND_LENGTHS.text),
    },
    strict,
  ),
  delete: Type.Object(
    { type: Type.Literal("delete"), expiresInSeconds, messageId: MessageIdField },
    strict,
  ),
  read: Type.Object(
    {
      type: Type.Literal("read"),
      messageIds: Type.Array(MessageIdField, {
        minItems: 1,
        maxItems: READ_MESSAGES,
        uniqueItems: true,
        description: "of one chat, written by others",
      }),
    },
    strict,
  ),
  typing: Type.Object({ type: Type.Literal("typing"), to, state: oneOf(TYPING_STATES) }, strict),
} as const;
export type SendKind = keyof typeof SEND_KINDS;
export const SEND_KIND_NAMES = Object.keys(SEND_KINDS) as SendKind[];
/** What only lives for a moment: carried out by the owner at once, or refused. */
export type SignalKind = "read" | "typing";

/** `POST …/messages` */
export const SendMessage = Type.Union(Object.values(SEND_KINDS), { $id: "SendMessage" });
export type SendMessage = { [Kind in SendKind]: Static<(typeof SEND_KINDS)[Kind]> }[SendKind];

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
