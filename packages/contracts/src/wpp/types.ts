/** What the normalisers make of a webhook of a WPP server: inputs of our events, each with the facts it was made of. */
import type { MessageContent, MessageError, MessageType, SendState } from "../message.ts";

/** The dialect that is spoken: the closed WPP Platform, or WPPConnect Server. */
export type WppPlatform = "wpp_platform" | "wppconnect";

/** The sessions life is told by `session.*`; `ignored`: nothing to tell; `unroutable`: it names no session. */
export type WppEventName =
  | `message.${"received" | "outgoing" | "status" | "reaction" | "revoked" | "poll_response"}`
  | "call.incoming"
  | `session.${"qr" | "pairing_code" | "connecting" | "connected" | "disconnected" | "error"}`
  | "ignored"
  | "unroutable";

/** What a piece of a webhook is, in the words both dialects share. Null: it has none. */
export type WppFacts = {
  platform: WppPlatform;
  /** The server's name of the session, as written; never a phone number. */
  session: string | null;
  event: WppEventName;
  messageId: string | null;
  /** The other party of the chat, in groups the participant: digits, or `lid:` and digits. */
  from: string | null;
  type: string | null;
  text: string | null;
};

/** A person as much as the webhook tells. A LID is no phone. */
export type WppPerson = { phone?: string; lid?: string; name?: string };

export type WppChat =
  | { type: "direct"; person: WppPerson }
  | { type: "group"; providerChatId: string };

/** Where the bytes of a file are. `base64`: here, and to be stored before anything is told. */
export type WppFileSource = { base64: string } | { url: string } | { messageId: string };

export type WppMedia = {
  mimeType: string;
  /** Of the file, not of its base64; null: not known. */
  bytes: number | null;
  fileName: string | null;
  source: WppFileSource;
};

type Piece = {
  chat: WppChat;
  /** Null: the number itself. */
  from: WppPerson | null;
  at: Date;
};

export type WppMessageInput = Piece & {
  kind: "message";
  event: "received" | "echoed";
  /** Null: the server gave none; `wppDedupeKey` is all there is. */
  providerMessageId: string | null;
  type: MessageType;
  text: string | null;
  content: MessageContent;
  media: WppMedia | null;
  context: { providerMessageId: string } | null;
};

/** `target`: the message that is reacted to or deleted. */
export type WppChangeInput = Piece & { providerMessageId: string | null; target: string } & (
    | { kind: "reaction"; /** Null: taken back. */ emoji: string | null }
    | { kind: "delete" }
  );

export type WppStatusInput = {
  kind: "status";
  /** As the server names the message: the task id where it has one. */
  providerMessageId: string;
  /** WhatsApp's own id, where the server tells it besides. */
  whatsappMessageId: string | null;
  state: Extract<SendState, "sent" | "delivered" | "read" | "played" | "failed"> | "deleted";
  recipient: WppPerson;
  at: Date;
  error: MessageError | null;
};

/** A QR: its text, to be drawn, or the picture as a data URL. */
export type WppQr = { text: string } | { image: string };

export type WppSessionInput = { kind: "session"; at: Date } & (
  | { event: "qr"; qr: WppQr | null }
  | { event: "pairing_code"; code: string; phone: string | null }
  | { event: "connecting"; step: "scanned" | "awaiting_scan" }
  | { event: "connected" }
  | { event: "disconnected"; reason: "disconnected" | "logged_out" }
  | { event: "error"; code: "qr_failed" | "phone_not_connected" }
);

export type WppCallInput = {
  kind: "call";
  callId: string | null;
  from: WppPerson;
  groupId: string | null;
  isVideo: boolean;
  at: Date;
};

export type WppInput =
  | WppMessageInput
  | WppChangeInput
  | WppStatusInput
  | WppSessionInput
  | WppCallInput;

export type WppItem = {
  facts: WppFacts;
  /** Null: there is nothing to tell (`ignored`), or nobody to tell it to (`unroutable`). */
  input: WppInput | null;
};
