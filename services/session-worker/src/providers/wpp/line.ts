/** What a number needs of its server, whichever of the two it is. Everything throws WppError. */
import type { ChatAddress, WppQr } from "@manyline/contracts";
import type { Send } from "@manyline/db";
import type { PhoneCheck, ReadMessage, TypingState } from "../provider.ts";
import type { WppSessionWord, WppStarted } from "./platform.ts";

/** The server has no call for it; nothing has left. The message names what it is. */
export class NotOfferedError extends Error {}

/** The file of a message, in the form the server takes. */
export type WppFileForms = {
  /** Where the server can fetch it for some time. Rejects with FileGoneError. */
  link(): Promise<string>;
  /** Rejects with FileGoneError, FileAwayError. */
  bytes(): Promise<Buffer>;
};

export type WppLine = {
  readonly session: string;
  status(): Promise<WppSessionWord>;
  /** Where webhooks of the session go, and that it is to run. A QR that nobody is told of would be lost. */
  start(webhookUrl: string | undefined): Promise<WppStarted>;
  /** Says again where webhooks go, without a start. */
  registerWebhook(url: string): Promise<void>;
  qr(): Promise<WppQr | null>;
  /** E.164 digits; null: the server does not tell. */
  phone(): Promise<string | null>;
  logout(): Promise<void>;
  /** The server's id of the message. Rejects with NotOfferedError, or with what `file` rejects with. */
  send(send: Send, file: WppFileForms): Promise<string | null>;
  /** The bytes of a message that came. */
  file(messageId: string): Promise<AsyncIterable<Uint8Array>>;
  /** Which of these phones have WhatsApp. Rejects with NotOfferedError. */
  checkPhones(phones: readonly string[]): Promise<PhoneCheck[]>;
  /** False: the server has no such call. */
  markRead(chat: ChatAddress, messages: readonly ReadMessage[]): Promise<boolean>;
  showTyping(chat: ChatAddress, state: TypingState): Promise<boolean>;
};
