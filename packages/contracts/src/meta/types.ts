/** What the normaliser makes of a webhook: inputs of our events, each with its route and the facts it was made of. */
import type { MessageContent, MessageError, MessageType, Pricing, SendState } from "../message.ts";

/** Whom a piece of a webhook is for, as Meta names it. Never an identifier of a company by itself. */
export type MetaRoute = {
  /** `entry[].id`, the WhatsApp Business Account. */
  wabaId: string | null;
  /** Null: the piece is about the account, or (`displayPhone`) about the number that is shown so. */
  phoneNumberId: string | null;
  /** Digits where it is a phone, else as written. */
  displayPhone: string | null;
};

/** A person as much as the webhook tells. Phones and user ids are different things and either may be missing. */
export type MetaPerson = {
  phone?: string;
  userId?: string;
  username?: string;
  name?: string;
};

export type MetaChat =
  | { type: "direct"; person: MetaPerson }
  | { type: "group"; providerChatId: string };

/** `source`: what it takes to fetch the file, as JSON. */
export type MetaMedia = {
  mimeType: string;
  bytes: number | null;
  sha256: string | null;
  fileName: string | null;
  isAnimated?: boolean;
  source: string;
};

type Piece = {
  /** Meta's id of this very message, edit, reaction. */
  providerMessageId: string;
  chat: MetaChat;
  /** null: the number itself. */
  from: MetaPerson | null;
  at: Date;
};

export type MetaMessageInput = Piece & {
  kind: "message";
  event: "received" | "echoed" | "imported";
  type: MessageType;
  text: string | null;
  content: MessageContent;
  media: MetaMedia | null;
  context: { providerMessageId: string } | null;
};

export type MetaChangeInput = Piece & { target: string } & (
    | { kind: "edit"; text: string | null }
    | { kind: "delete" }
    | { kind: "reaction"; emoji: string | null }
  );

export type MetaStatusInput = {
  kind: "status";
  providerMessageId: string;
  /** What was sent along with the message; ours is its `messageId`. */
  callbackData: string | null;
  state: Extract<SendState, "sent" | "delivered" | "read" | "played" | "failed">;
  at: Date;
  recipient: MetaPerson;
  error: MessageError | null;
  pricing: Pricing | null;
};

/** Two names of one person. */
export type MetaSameInput = { kind: "same_person"; was: MetaPerson; is: MetaPerson };

/** Names an event of the catalogue; `key` tells two notices apart from one that came twice. */
export type MetaNoticeInput = {
  kind: "notice";
  event: MetaNoticeType;
  key: string;
  person: MetaPerson | null;
  data: MetaNoticeData;
};

export type MetaNoticeType =
  | `account.${"changed" | "reviewed" | "alerted" | "limit_changed" | "flow_changed" | "notified"}`
  | `template.${"status" | "quality" | "components" | "category"}_changed`
  | `number.${"quality_changed" | "limit_changed" | "name_reviewed" | "security_changed"}`
  | `number.${"error_reported" | "history_shared" | "group_changed" | "notified"}`
  | `contact.${"changed" | "preference_changed" | "saved"}`
  | `call.${"received" | "changed"}`;

/** The data of a notice but for the person. */
export type MetaNoticeData = {
  provider: "meta";
  field: string;
  event: string | null;
  accountId: string | null;
  phoneNumberId: string | null;
  displayPhone: string | null;
  at: string;
  errors?: MessageError[];
  details: unknown;
  isTruncated?: boolean;
  template?: { id: string | null; name: string | null; language: string | null };
};

export type MetaInput =
  | MetaMessageInput
  | MetaChangeInput
  | MetaStatusInput
  | MetaSameInput
  | MetaNoticeInput;

/** The facts of a message, status, echo or other change as the JSON has them; null: the key is absent. */
export type MetaFacts = {
  row: "message" | "status" | "echo" | "change";
  type: string | null;
  from: string | null;
  fromUserId: string | null;
  id: string | null;
  text: string | null;
  timestamp: string | null;
  contextId: string | null;
  status: string | null;
  recipientId: string | null;
  recipientUserId: string | null;
  errorCode: string | null;
};

export type MetaItem = {
  route: MetaRoute;
  field: string;
  /** Where the change stands: `entry[place[0]].changes[place[1]]`. */
  place: readonly [entry: number, change: number];
  /** Null: what the item tells is told by the facts of another one of its change. */
  facts: MetaFacts | null;
  input: MetaInput;
};

export type MetaWebhook = {
  /** False: `object` is not a WhatsApp Business Account; nobody should act on the items. */
  isWhatsapp: boolean;
  items: MetaItem[];
  /** How many pieces could not be read at all (no object where one belongs); they are among the items as notices. */
  oddities: number;
};
