import type { proto } from "@whiskeysockets/baileys";
import { sha256 } from "../crypto.ts";
import type { Phone } from "../phone.ts";
import { bytes, unixNow } from "../stanza.ts";
import { read } from "./contents.ts";
import type { Reading } from "./contents.ts";
import { addressingOf, chatId } from "./letter.ts";
import type { Addressing, Letter } from "./letter.ts";
import { decryptMedia } from "./media.ts";
import { askAgain, giveReceipt, retryContent } from "./receipts.ts";
import type { ReceiptType } from "./receipts.ts";
import type { SenderKeys } from "./sender-keys.ts";
import { decryptFrom } from "./signal.ts";

/** A message that this phone could read. */
export type ReceivedMessage = Omit<Reading, "media"> & {
  /** order of arrival at this phone, from 1 */
  seq: number;
  id: string;
  /** the other person's number, or the group's address */
  chat: string;
  from: string;
  /** 0: the sender's phone */
  fromDevice: number;
  /** written by a linked device of this phone's own account */
  fromMe: boolean;
  /** how the sender addressed the chat */
  addressing: Addressing;
  encryption: string;
  /** milliseconds */
  at: number;
  /** arrivals of this id that nobody had asked for: 1, or the sender sent it twice */
  copies: number;
  /** arrivals of this id after somebody could not decrypt it: the protocol's own repetition */
  resent: number;
  media?: { mimetype: string; fileName?: string; size: number; sha256: string; state: MediaState };
  message: proto.IMessage;
};

/** `missing`: the server has no such file; `broken`: it does not decrypt to what was announced */
export type MediaState = "ok" | "missing" | "broken";

const KEPT_MESSAGES = 10_000;
const MAX_RETRIES = 5;

/** What arrives at one phone: opened in order, confirmed, kept. */
export class Inbox {
  readonly #phone: Phone;
  readonly #senderKeys: SenderKeys;
  /** by chat, author and id; oldest first */
  readonly #received = new Map<string, ReceivedMessage>();
  readonly #letters = new Map<string, Letter>();
  readonly #retries = new Map<string, number>();
  #backlog: Letter[] = [];
  #work: Promise<void> = Promise.resolve();
  #seq = 0;

  constructor(phone: Phone, senderKeys: SenderKeys) {
    this.#phone = phone;
    this.#senderKeys = senderKeys;
  }

  get received(): ReceivedMessage[] {
    return [...this.#received.values()];
  }

  find(id: string): ReceivedMessage | undefined {
    for (const each of this.#received.values()) if (each.id === id) return each;
    return undefined;
  }

  /** letters that wait for the phone to come online */
  get waiting(): number {
    return this.#backlog.length;
  }

  forget(): void {
    this.#received.clear();
    this.#letters.clear();
  }

  /** The server hands over a letter; a phone without a connection gets it later. */
  take(letter: Letter): void {
    if (!this.#phone.isOnline) {
      this.#backlog.push(letter);
      return;
    }
    this.#work = this.#work
      .then(() => this.#open(letter))
      .catch((error: unknown) => this.#phone.account.server.reportError(error));
  }

  /** The phone has its connection back. */
  flush(): void {
    for (const letter of this.#backlog.splice(0)) this.take(letter);
  }

  /** Confirms messages of a chat, or one of them, as read or played. @returns how many */
  confirm(chat: string, type: Exclude<ReceiptType, "delivered">, id?: string): number {
    let count = 0;
    for (const [key, each] of this.#received) {
      if (each.chat !== chat || each.fromMe || (id !== undefined && each.id !== id)) continue;
      const letter = this.#letters.get(key);
      if (!letter) continue;
      this.#sendReceipt(letter, type);
      if (type === "read") this.#letters.delete(key);
      count++;
    }
    return count;
  }

  async #open(letter: Letter): Promise<void> {
    const { account } = this.#phone;
    const { server } = account;
    let message: proto.IMessage;
    try {
      message = await this.#decrypt(letter);
    } catch (error) {
      this.#askAgain(letter, error);
      return;
    }
    const isOwn = letter.sender.account === account;
    if (letter.attrs["category"] === "peer") return;
    const reading = read(message);
    server.stats.phoneMessages++;
    const entry = reading && this.#keep(letter, message, reading);
    if (!isOwn && account.options.deliveryReceipts) this.#sendReceipt(letter, "delivered");
    if (!isOwn && entry && entry.copies + entry.resent === 1) this.#react(entry);
    if (entry) server.events.emit("message", { phone: this.#phone, message: entry });
  }

  /** Opens every part: a group's message may bring the key of its own second part. */
  async #decrypt({ sender, chat, content }: Letter): Promise<proto.IMessage> {
    const merged: proto.IMessage = {};
    for (const enc of content.filter((node) => node.tag === "enc")) {
      const opened =
        enc.attrs["type"] === "skmsg"
          ? await this.#senderKeys.decrypt(chatId(chat), sender, bytes(enc) ?? Buffer.alloc(0))
          : await decryptFrom(this.#phone, sender, enc);
      const message = opened.deviceSentMessage?.message ?? opened;
      const { senderKeyDistributionMessage: key } = message;
      if (key) await this.#senderKeys.learn(sender, key);
      Object.assign(merged, message);
    }
    return merged;
  }

  #keep(letter: Letter, message: proto.IMessage, reading: Reading): ReceivedMessage {
    const { account } = this.#phone;
    const { sender, id } = letter;
    const { media, ...text } = reading;
    const fromMe = sender.account === account;
    const chat =
      letter.chat.kind === "group" || fromMe ? chatId(letter.chat) : sender.account.phone;
    const key = `${chat} ${sender.account.phone} ${id}`;
    const known = this.#received.get(key);
    if (known) {
      if (account.server.retried.has(`${sender.account.phone}:${id}`)) known.resent++;
      else known.copies++;
      return known;
    }
    const entry: ReceivedMessage = {
      seq: ++this.#seq,
      id,
      chat,
      from: sender.account.phone,
      fromDevice: sender.deviceId,
      fromMe,
      ...text,
      addressing: addressingOf(letter.to),
      encryption: letter.content.findLast((node) => node.tag === "enc")?.attrs["type"] ?? "",
      at: Date.now(),
      copies: 1,
      resent: 0,
      ...(media ? { media: this.#download(media) } : {}),
      message,
    };
    this.#received.set(key, entry);
    if (!fromMe) this.#letters.set(key, { ...letter, content: [] });
    for (const oldest of this.#received.keys()) {
      if (this.#received.size <= KEPT_MESSAGES) break;
      this.#received.delete(oldest);
      this.#letters.delete(oldest);
    }
    return entry;
  }

  #download(media: NonNullable<Reading["media"]>): NonNullable<ReceivedMessage["media"]> {
    const { mimetype, fileName, fileLength } = media;
    const fields = { mimetype, ...(fileName === undefined ? {} : { fileName }) };
    const plain = openFile(this.#phone, media);
    return typeof plain === "string"
      ? { ...fields, size: fileLength, sha256: "", state: plain }
      : { ...fields, size: plain.length, sha256: sha256(plain).toString("hex"), state: "ok" };
  }

  #sendReceipt(letter: Letter, type: ReceiptType): void {
    const { id, sender, chat, to } = letter;
    giveReceipt(
      {
        ids: [id],
        from: { account: this.#phone.account, deviceId: 0 },
        type,
        t: unixNow(),
        ...(chat.kind === "group" ? { group: chat.group.jid } : {}),
        addressing: chat.kind === "group" ? chat.group.addressing : addressingOf(to),
      },
      sender.account.targets(),
    );
  }

  /** What the owner does with a new message of somebody else. */
  #react(entry: ReceivedMessage): void {
    const { account } = this.#phone;
    const { readAfterMs, autoReply } = account.options;
    if (readAfterMs !== null) {
      const ms = account.server.scaled(readAfterMs);
      setTimeout(() => this.confirm(entry.chat, "read", entry.id), ms).unref();
    }
    if (autoReply === null || entry.kind !== "text") return;
    const text = autoReply.replaceAll("{text}", entry.text ?? "");
    this.#phone.messages
      .sendText(entry.chat, text)
      .catch((error: unknown) => account.server.reportError(error));
  }

  /** Asks the sender for another copy, as often as a phone does. */
  #askAgain(letter: Letter, error: unknown): void {
    const { account } = this.#phone;
    const { id, sender, chat, t } = letter;
    const key = `${sender.account.phone} ${sender.deviceId} ${id}`;
    const count = 1 + (this.#retries.get(key) ?? 0);
    this.#retries.set(key, count);
    account.server.stats.phoneRetries++;
    account.server.events.emit("undecryptable", { phone: this.#phone, id, error });
    const target = sender.account.target(sender.deviceId);
    if (count > MAX_RETRIES || !target) return;
    askAgain(
      {
        id,
        from: { account, deviceId: 0 },
        count,
        chat,
        addressing: chat.kind === "group" ? chat.group.addressing : addressingOf(letter.to),
        content: retryContent(this.#phone, id, count, t),
      },
      target,
    );
  }
}

/** The file of a message, or why there is none. */
export function openFile(
  phone: Phone,
  media: NonNullable<Reading["media"]>,
): Buffer | Exclude<MediaState, "ok"> {
  const body = phone.account.server.media.get(media.url.split("/").at(-1) ?? "");
  if (!body) return "missing";
  try {
    return decryptMedia(media.kind, body, media);
  } catch {
    return "broken";
  }
}
