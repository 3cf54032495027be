/**
 * Sends over one connection. The library steps ratchets and writes one stanza after another; what WhatsApp thinks
 * of a stanza it says later, in an acknowledgement that the library does not tell of.
 */
import type { Readable } from "node:stream";
import {
  generateWAMessage,
  isJidGroup,
  isLidUser,
  type BinaryNode,
  type proto,
  type WASocket,
} from "@whiskeysockets/baileys";
import type { Send } from "@manyline/db";
import { SerialQueue } from "../../../numbers/serial-queue.ts";
import { FileAwayError, FileGoneError, type SendOutcome } from "../../provider.ts";
import { SILENT } from "../socket.ts";
import { addressOf, isChatOf, knownAddress, type Address } from "./address.ts";
import { contentsOf, UnwritableError, type Contents } from "./contents.ts";

/** From the written stanza to WhatsApp's word. */
const ACK_MS = 20_000;
/** From the first look for devices to the written stanza; a key store that hangs must not hang for ever. */
const RELAY_MS = 45_000;

/** What is known of it better is filled in. */
const LOST: SendOutcome = { kind: "lost", mayHaveLeft: true, isOver: false };

export type SenderParts = {
  onPerson: (person: { phone: string; lid: string }) => void;
  /** Ends the connection. */
  fail: (error: Error) => void;
  /** The file that the message carries. */
  openFile: (send: Send) => Promise<Readable>;
};

export class Sender {
  readonly #sock: WASocket;
  readonly #parts: SenderParts;
  /** By id: who waits for WhatsApp's word. */
  readonly #acks = new Map<string, (node: BinaryNode) => void>();
  /** What is under way, each ended with the connection. */
  readonly #open = new Set<(outcome: SendOutcome) => void>();
  readonly #line = new SerialQueue();
  #isOver = false;

  constructor(sock: WASocket, parts: SenderParts) {
    this.#sock = sock;
    this.#parts = parts;
    sock.ws.on("CB:ack,class:message", (node: BinaryNode) => {
      this.#acks.get(node.attrs["id"] ?? "")?.(node);
    });
  }

  /** The connection is over. */
  end(): void {
    this.#isOver = true;
    const open = [...this.#open];
    this.#open.clear();
    for (const settle of open) settle(LOST);
  }

  async send(send: Send): Promise<SendOutcome> {
    if (this.#isOver) return { kind: "lost", mayHaveLeft: false, isOver: true };
    const { promise, resolve } = Promise.withResolvers<SendOutcome>();
    const state = { mayHaveLeft: false };
    const settle = (outcome: SendOutcome): void => {
      this.#open.delete(settle);
      resolve(outcome.kind === "lost" ? { ...outcome, ...state, isOver: this.#isOver } : outcome);
    };
    this.#open.add(settle);
    this.#try(send, state).then(settle, () => settle(LOST));
    return promise;
  }

  /** A device of this chat asks for a message once more: what it said. */
  async repeat(send: Send, chat: string): Promise<proto.IMessage | undefined> {
    const address = knownAddress(send);
    if (!address || !(await isChatOf(this.#sock, chat, send))) return undefined;
    return this.#write(send, address, await this.#contents(send, address));
  }

  async #try(send: Send, state: { mayHaveLeft: boolean }): Promise<SendOutcome> {
    const address = await addressOf(this.#sock, send, this.#parts.onPerson);
    if (!address) return { kind: "impossible", error: "PHONE_NOT_ON_WHATSAPP" };
    let contents: Contents;
    let message: proto.IMessage;
    let isCut = false;
    try {
      contents = await this.#contents(send, address, () => (isCut = true));
      message = await this.#write(send, address, contents);
    } catch (error) {
      if (error instanceof FileGoneError) {
        return { kind: "impossible", error: "MEDIA_UNAVAILABLE" };
      }
      if (error instanceof UnwritableError) return { kind: "impossible", error: "INTERNAL" };
      if (error instanceof FileAwayError || isCut) return { kind: "later" };
      throw error;
    }
    const { providerMessageId: id } = send;
    const ack = this.#awaitAck(id);
    try {
      const refused = await this.#line.add(async () => {
        if (this.#isOver) return undefined;
        state.mayHaveLeft = true;
        try {
          await this.#limited(this.#relay(address, id, message, contents));
          return undefined;
        } catch (error) {
          const code = groupRefusal(address, error);
          if (code === undefined) throw error;
          return code;
        }
      });
      if (refused !== undefined) return { kind: "refused", code: refused };
      ack.startClock();
      return await ack.outcome;
    } finally {
      ack.forget();
    }
  }

  /** `onCut`: the file broke off while it was read. */
  async #contents(send: Send, address: Address, onCut?: () => void): Promise<Contents> {
    const file = send.content?.media ? await this.#parts.openFile(send) : undefined;
    if (onCut) file?.once("error", onCut);
    const { private: secret } = this.#sock.authState.creds.signedIdentityKey;
    return contentsOf(send, address, { secret }, file);
  }

  async #write(send: Send, address: Address, contents: Contents): Promise<proto.IMessage> {
    const { me } = this.#sock.authState.creds;
    const userJid = (isLidUser(address.jid) === true ? me?.lid : undefined) ?? me?.id ?? "";
    const { message } = await generateWAMessage(address.jid, contents.content, {
      ...contents.options,
      userJid,
      messageId: send.providerMessageId,
      upload: this.#sock.waUploadToServer,
      logger: SILENT,
    });
    if (!message) throw new TypeError("the library made no message");
    return message;
  }

  #relay(
    { jid }: Address,
    messageId: string,
    message: proto.IMessage,
    { marks }: Contents,
  ): Promise<unknown> {
    return this.#sock.relayMessage(jid, message, {
      messageId,
      additionalAttributes: marks.attributes,
      additionalNodes: marks.nodes,
    });
  }

  /** Sends go one after another: one that hangs would hang all. */
  async #limited(work: Promise<unknown>): Promise<void> {
    const timer = setTimeout(
      () => this.#parts.fail(new Error("a message could not be written in time")),
      RELAY_MS,
    );
    try {
      await work;
    } finally {
      clearTimeout(timer);
    }
  }

  #awaitAck(id: string) {
    const { promise, resolve } = Promise.withResolvers<SendOutcome>();
    let timer: NodeJS.Timeout | undefined;
    const hear = ({ attrs }: BinaryNode): void => {
      const { error, t } = attrs;
      const seconds = Number(t);
      const at = seconds > 0 ? new Date(seconds * 1_000) : new Date();
      resolve(error === undefined ? { kind: "taken", at } : { kind: "refused", code: error });
    };
    this.#acks.set(id, hear);
    return {
      outcome: promise,
      startClock: () => {
        timer = setTimeout(() => resolve(LOST), ACK_MS);
      },
      forget: () => {
        clearTimeout(timer);
        if (this.#acks.get(id) === hear) this.#acks.delete(id);
      },
    };
  }
}

/**
 * The code with which WhatsApp refuses to tell who is in a group, such as one the number does not belong to. The
 * library asks before it writes the stanza, so nothing has left.
 */
function groupRefusal({ jid }: Address, error: unknown): string | undefined {
  if (isJidGroup(jid) !== true || !(error instanceof Error) || !("data" in error)) return undefined;
  const { data } = error;
  return typeof data === "number" && data >= 400 && data < 500 ? String(data) : undefined;
}
