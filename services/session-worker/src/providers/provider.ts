/**
 * The port between a number and the engine that connects it. Nothing named jid, creds or stanza crosses
 * it; an engine's errors are translated into close codes and error codes of ours.
 */
import type { Readable } from "node:stream";
import type {
  ChatAddress,
  CommandArgs,
  ErrorCode,
  FlowKeyState,
  MessageErrorCode,
  Phone,
  Provider as ProviderKind,
  SetupCheck,
} from "@manyline/contracts";
import type { Fence, InboundItem, OpenEntry, Send } from "@manyline/db";
import type { PaceFigures } from "../domain/pace.ts";
import type { RefusalRule } from "../domain/refusals.ts";

/** How a connection ended. `code` as in domain/closing-reasons.ts; undefined: we closed it. */
export type ConnectionEnd = {
  code: number | undefined;
  /** For logs; holds no secret. */
  message: string;
  /** The end of a temporary ban. */
  until?: Date;
};

/** The number a connection is for. */
export type NumberRef = {
  fence: Fence;
  companyId: string;
  numberId: string;
  provider: ProviderKind;
};

/**
 * Told to the one who links. The promises are awaited: what they store is durable before the engine
 * answers WhatsApp. A rejection ends the connection.
 */
export type LinkHandlers = {
  /** A QR can be drawn and a code can be asked for. */
  onReady(): void;
  /** The secret of the shown QR was retired: `redraw()` and store it. */
  onRotated(): Promise<void>;
  onPhoneAnswered(): void;
  onCodeRetired(): void;
  onPasskey(passkey: { options: unknown; expiresInMs: number }): void;
  /** The phone accepted. `credentials` must be stored before this resolves. */
  onPaired(paired: { phone: Phone; credentials: Buffer }): Promise<void>;
  onClosed: (end: ConnectionEnd) => void;
};

export type CodeAnswer = { code: string } | { refused: ErrorCode; detail: string };

/** A connection that registers a new device. */
export type LinkConnection = {
  /** The text of the next QR; undefined when WhatsApp gave no more. */
  nextQr(): string | undefined;
  /** The same QR with the current secret. */
  redraw(): string | undefined;
  /** Asks WhatsApp for a code. It exists only once this resolves with one. */
  requestCode(phone: Phone): Promise<CodeAnswer>;
  close(): void;
};

/** An entry of the journal: what came, stored together with the keys that opened it. For the engine to read. */
export type Received = OpenEntry;

/** What an entry tells. */
export type Told = {
  /** In order, without their journal entries; empty: nothing that anybody would be told. */
  items: InboundItem[];
  /** The engine has still to act on it, and would need it again after a crash: settle it some time later. */
  isForEngine: boolean;
  /**
   * There is more to it: to be asked, once all that came before is committed, for the items in place of `items`.
   * May be repeated. Rejects with FencedError when somebody else owns the number.
   */
  complete?: (fence: Fence) => Promise<InboundItem[]>;
};

/** What became of one try to send a message. */
export type SendOutcome =
  /**
   * WhatsApp has it. `providerMessageId`: if it was not chosen before. `otherPhone`: it knows the person by this phone,
   * which is another than the one written to.
   */
  | { kind: "taken"; at: Date; providerMessageId?: string; otherPhone?: string }
  /**
   * WhatsApp does not take it; `code` as in domain/refusals.ts, unless the engine knows the rule. `inMs`: so long it
   * wants everything to wait, where it has sent too fast.
   */
  | { kind: "refused"; code: string; rule?: RefusalRule; inMs?: number | undefined }
  /** Not now; nothing has left. Only this chat waits. `inMs`: for so long; else as long as is usual. */
  | { kind: "later"; inMs?: number }
  /** It can never be sent; nothing has left. */
  | { kind: "impossible"; error: MessageErrorCode }
  /**
   * Nobody knows: there was no answer, or (`isOver`) the connection ended. Without `mayHaveLeft` surely nothing
   * has left.
   */
  | { kind: "lost"; mayHaveLeft: boolean; isOver: boolean };

/** What WhatsApp says became of a message that was sent. */
export type Receipt = { providerMessageId: string; state: "delivered" | "read"; at: Date };

/** WhatsApp lets the account write only to people it has a chat with. `until` null: not known. */
export type Timelock = { until: Date | null };

export type PhoneCheck = { phone: string; isOnWhatsapp: boolean; lid: string | null };

/** A message of somebody in a chat, and who wrote it. */
export type ReadMessage = { providerMessageId: string; phone: string | null; lid: string | null };

export type TypingState = "typing" | "recording" | "paused";

export type LoginHandlers = {
  /** These are stored, and WhatsApp may be told that they came. */
  onReceived(entries: readonly Received[]): void;
  /** Resolves when they are stored: only then WhatsApp forgets them. Rejects when the number is let go. */
  onReceipts(receipts: readonly Receipt[]): Promise<void>;
  /** WhatsApp has told of itself that the account is restricted, or (undefined) is not any more. */
  onTimelock(timelock: Timelock | undefined): void;
  /** So fast the engine lets the number be: told before it is open, and when it changes. */
  onPace?(pace: PaceFigures): void;
  /** A phone and a LID are the same person. */
  onPerson(person: { phone: string; lid: string }): void;
  /** A device could not read this message: what was sent under its id, if it may be sent to it again. */
  findSent(providerMessageId: string): Promise<Send | undefined>;
  /** `phone`: whose it is, where the engine learns it only now. `asOf`: when its server was asked. */
  onOpen(phone?: Phone, asOf?: Date): void;
  /** It is open still: its server was asked. */
  onAlive?(asOf: Date): void;
  /** What its server may have told nobody of: messages, as it writes them, that meet what is known already. */
  onUnread?(session: string, unread: readonly unknown[]): void;
  /** A person wants it linked: it may wait for a scan. Else one that has to be scanned was logged out. */
  mayScan?(): boolean;
  /** The server of the number shows this QR now, a text to draw or a data URL: it waits to be scanned. */
  onQr(qr: string, asOf: Date): void;
  onClosed: (end: ConnectionEnd) => void;
  /** WhatsApp said something that the engine cannot read; it was left out. */
  onBadFrame(error: unknown): void;
  /** A write was refused: somebody else owns the number. The connection is closed. */
  onFenced(): void;
  /** While true nothing may be sent and nothing received is worked on; asked at every frame. */
  isQuiet: () => boolean;
};

/** The file will not come back: to try again is of no use. */
export class FileGoneError extends Error {}

/** The file cannot be read now. */
export class FileAwayError extends Error {}

/** Where the files of messages that are sent come from. */
export type FileSource = {
  /**
   * The file that the message carries. Rejects with FileGoneError when there is none any more, with FileAwayError
   * when it cannot be read now; what is read may break off with that, too.
   */
  open(number: NumberRef, send: Send): Promise<Readable>;
};

/** A connection with stored credentials. */
export type LoginConnection = {
  /** What may have left can be sent once more with the same id: whoever has it drops the rest. */
  readonly isRepeatable: boolean;
  close(): void;
  /** Tries once, with the id that was chosen. Never rejects; once the connection is over everything is `lost`. */
  send(send: Send): Promise<SendOutcome>;
  /** Whether the account is restricted now. Rejects without an answer. */
  askTimelock(): Promise<Timelock | undefined>;
  /** In the order asked. Rejects without an answer. */
  checkPhones(phones: readonly string[]): Promise<PhoneCheck[]>;
  markRead(chat: ChatAddress, messages: readonly ReadMessage[]): Promise<void>;
  /** `lastMessageId`: the provider's id of the latest message that came from there. */
  showTyping(chat: ChatAddress, state: TypingState, lastMessageId?: string): Promise<void>;
  /** The number's server has news of its session, or of what it may do: it is asked at once. */
  nudge?(event: string): void;
  /** Quiet is over: what was held back goes on. */
  heard(): void;
  /** Tells WhatsApp to forget this device, then closes. False: WhatsApp did not confirm. */
  logout(): Promise<boolean>;
};

export type FlowKeyOutcome =
  | { state: FlowKeyState; keyId: string | null; signatureStatus: string | null }
  | { refused: "FLOW_KEY_NOT_FOUND" | "NOT_CONNECTED" | "META_REFUSED"; graphCode?: number };

/** What became of a WPP number that was to be brought up; `apiKey` is masked. */
export type WppOpening =
  | {
      /** Null: there is no client yet. */
      session: string | null;
      apiKey: string | null;
      status: "connected" | "starting" | "qr_issued" | "error";
      qrcode?: string;
      error?: string;
    }
  | { refused: "WPP_NOT_CONFIGURED" | "WPP_KEY_REUSED" | "WPP_REFUSED" };

export type Provider = {
  /** Starts at once with fresh credentials that are kept in memory until `onPaired`. */
  link(number: NumberRef, handlers: LinkHandlers): LinkConnection;
  /** Undefined: there are no stored credentials. */
  login(number: NumberRef, handlers: LoginHandlers): Promise<LoginConnection | undefined>;
  /**
   * A file of a message that came, by what was noted of it when it came, in the clear; not checked against its announced
   * hash. Rejects with FileGoneError when nobody has it any more, else it may be tried again.
   */
  fetchFile(source: Buffer, number: NumberRef): Promise<AsyncIterable<Uint8Array>>;
  /** What stands in the number's way, step by step; undefined: there is nothing to set up. */
  check?(number: NumberRef): Promise<SetupCheck[]>;
  /** Which key for flows the number has, after (`isUpload`) it was given the company's current one. */
  flowKey?(number: NumberRef, isUpload: boolean): Promise<FlowKeyOutcome>;
  /** Brings a WPP number up, making its client if need be; answers about `ms` after it has one. */
  openWpp?(number: NumberRef, wish: CommandArgs<"open_wpp">, ms: number): Promise<WppOpening>;
  /** Ends a session that runs at a server of its own, whether we listen to it or not. False: the server could not be told. */
  endSession?(number: NumberRef): Promise<boolean>;
  /** Reads an entry of the journal. Pure: today or after a crash, the answer is the same. */
  tell(entry: Received): Told;
};
