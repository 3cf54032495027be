/** How messages, people, chats and files are answered. */
import { Type, type Static } from "typebox";
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
} from "../message.ts";

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

/** 200 to `read` and `typing`: it was done. */
export const SignalAnswer = Type.Object({ success: Type.Literal(true) }, { $id: "SignalAnswer" });
export type SignalAnswer = Static<typeof SignalAnswer>;

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
    message: Message,
  },
  { $id: "SendAnswer" },
);
export type SendAnswer = Static<typeof SendAnswer>;

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

/** `GET …/chats`, the youngest first */
export const ChatList = Type.Object(
  { success: Type.Literal(true), chats: Type.Array(ChatSummary), next: Cursor },
  { $id: "ChatList" },
);
export type ChatList = Static<typeof ChatList>;

/** `GET …/contacts`, the youngest first */
export const ContactList = Type.Object(
  { success: Type.Literal(true), contacts: Type.Array(Contact), next: Cursor },
  { $id: "ContactList" },
);
export type ContactList = Static<typeof ContactList>;

/** `POST …/check`; in the order asked */
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
