import { randomBytes } from "node:crypto";
import { encodeWAMessage } from "@whiskeysockets/baileys";
import type { proto } from "@whiskeysockets/baileys";
import { GROUP_SERVER, parseJid } from "../jid.ts";
import type { Phone } from "../phone.ts";
import { PhoneError } from "../phone-error.ts";
import { el, unixNow } from "../stanza.ts";
import type { Stanza } from "../stanza.ts";
import { write } from "./contents.ts";
import type { Content, Written } from "./contents.ts";
import type { ReceivedMessage } from "./inbox.ts";
import { chatId, jidOf, post } from "./letter.ts";
import type { Addressing, Chat, Copy, Envelope, Party } from "./letter.ts";
import { encryptMedia } from "./media.ts";
import type { MediaFields, MediaKind } from "./media.ts";
import type { Receipt, ReceiptType, RetryRequest } from "./receipts.ts";
import type { SenderKeys } from "./sender-keys.ts";
import { dropSession, encNode, encryptFor } from "./signal.ts";

/** A message this phone wrote, and what came back for it. */
export type SentMessage = {
  id: string;
  chat: string;
  kind: string;
  text?: string;
  /** milliseconds */
  at: number;
  /** devices it was encrypted for */
  devices: number;
  /** copies made anew because a device could not decrypt its own */
  retries: number;
  receipts: { from: string; deviceId: number; type: ReceiptType; at: number }[];
};

type Kept = { sent: SentMessage; envelope: Envelope; written: Written };

const KEPT_MESSAGES = 10_000;
const MAX_RETRIES = 5;

/** What one phone writes: encrypted in order, kept for those who could not decrypt it. */
export class Outbox {
  readonly #phone: Phone;
  readonly #senderKeys: SenderKeys;
  readonly #kept = new Map<string, Kept>();
  #work: Promise<unknown> = Promise.resolve();

  constructor(phone: Phone, senderKeys: SenderKeys) {
    this.#phone = phone;
    this.#senderKeys = senderKeys;
  }

  get sent(): SentMessage[] {
    return [...this.#kept.values()].map((each) => each.sent);
  }

  find(id: string): SentMessage | undefined {
    return this.#kept.get(id)?.sent;
  }

  forget(): void {
    this.#kept.clear();
  }

  /**
   * @param to a phone number or a group's address
   * @throws {PhoneError} `offline`, `no_account`, `not_in_group`, `not_admin`, `no_poll`
   */
  send(
    to: string,
    content: Content,
    received: (id: string) => ReceivedMessage | undefined,
    id = `3A${randomBytes(9).toString("hex").toUpperCase()}`,
  ): Promise<SentMessage> {
    return this.#inOrder(() => this.#send(to, content, received, id));
  }

  takeReceipt({ ids, from, type }: Receipt): void {
    for (const id of ids) {
      const { phone } = from.account;
      const receipt = { from: phone, deviceId: from.deviceId, type, at: Date.now() };
      this.find(id)?.receipts.push(receipt);
    }
  }

  /** A device could not decrypt its copy: a fresh session, the same message, the same id. */
  sendAgain(request: RetryRequest): void {
    this.#inOrder(() => this.#sendAgain(request)).catch((error: unknown) =>
      this.#phone.account.server.reportError(error),
    );
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#work.then(work);
    this.#work = done.catch(() => undefined); // whoever asked is told
    return done;
  }

  async #send(
    to: string,
    content: Content,
    received: (id: string) => ReceivedMessage | undefined,
    id: string,
  ): Promise<SentMessage> {
    if (!this.#phone.isOnline) throw new PhoneError("offline");
    const chat = this.#chat(to);
    const addressing = chat.kind === "group" ? chat.group.addressing : ownAddressing(this.#phone);
    const written = write(content, {
      keyOf: (target) => this.#keyOf(target, chat, addressing, received),
      upload: (kind, bytes) => this.#upload(kind, bytes),
      pollSecret: (target) => this.#pollSecret(target, received),
      self: jidOf(this.#self, addressing),
    });
    const isAdmins = written.attrs["edit"] === "8";
    if (isAdmins && chat.kind === "group" && !isAdmin(chat.group, this.#phone)) {
      throw new PhoneError("not_admin");
    }
    const envelope: Envelope = {
      id,
      sender: this.#self,
      chat,
      to: jidOfChat(chat, addressing),
      type: written.type,
      t: unixNow(),
      attrs: written.attrs,
    };
    const copies =
      chat.kind === "group"
        ? await this.#groupCopies(chat.group, written)
        : await this.#copies(chat, envelope, written);
    const sent: SentMessage = {
      id,
      chat: chatId(chat),
      kind: content.kind,
      ...("text" in content ? { text: content.text } : {}),
      at: Date.now(),
      devices: copies.length,
      retries: 0,
      receipts: [],
    };
    this.#kept.set(id, { sent, envelope, written });
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MESSAGES) break;
      this.#kept.delete(oldest);
    }
    post(envelope, copies);
    return sent;
  }

  async #sendAgain(request: RetryRequest): Promise<void> {
    const kept = this.#kept.get(request.id);
    const target = request.from.account.target(request.from.deviceId);
    if (!kept || !target || request.count > MAX_RETRIES) return;
    const { envelope, written, sent } = kept;
    dropSession(this.#phone, request.from);
    let { message } = written;
    if (envelope.chat.kind === "group") {
      const group = envelope.chat.group.jid;
      message = { ...message, ...(await this.#senderKeys.distribution(group, this.#self)) };
    } else if (request.from.account === this.#phone.account) {
      message = deviceSent(envelope, message);
    }
    const encAttrs = { ...written.encAttrs, count: String(request.count) };
    const enc = encNode(await encryptFor(this.#phone, target, message), encAttrs);
    sent.retries++;
    post(envelope, [{ target, content: [enc] }]);
  }

  /** For every device of the recipient, and for the own linked devices what was written where. */
  async #copies(
    chat: Extract<Chat, { kind: "person" }>,
    envelope: Envelope,
    { message, encAttrs }: Written,
  ): Promise<Copy[]> {
    const { account } = this.#phone;
    const others = chat.account === account ? [] : chat.account.targets();
    const own = deviceSent(envelope, message);
    const copies: Copy[] = [];
    for (const target of [...others, ...account.devices.values()]) {
      const body = target.account === account ? own : message;
      const enc = encNode(await encryptFor(this.#phone, target, body), encAttrs);
      copies.push({ target, content: [enc] });
    }
    return copies;
  }

  /** One ciphertext for all, and the key to it for those who lack it. */
  async #groupCopies(group: GroupChat, { message, encAttrs }: Written): Promise<Copy[]> {
    const key = await this.#senderKeys.distribution(group.jid, this.#self);
    const padded = encodeWAMessage(message);
    const body = await this.#senderKeys.encrypt(group.jid, this.#self, padded);
    const shared = el("enc", { v: "2", type: "skmsg", ...encAttrs }, body);
    const copies: Copy[] = [];
    for (const target of group.targets()) {
      if (target === this.#phone) continue;
      const party = { account: target.account, deviceId: target.id };
      const content: Stanza[] = [];
      if (this.#senderKeys.hand(group.jid, party)) {
        content.push(encNode(await encryptFor(this.#phone, target, key)));
      }
      copies.push({ target, content: [...content, shared] });
    }
    return copies;
  }

  get #self(): Party {
    return { account: this.#phone.account, deviceId: 0 };
  }

  #chat(to: string): Chat {
    const { account } = this.#phone;
    const { server } = account;
    if (parseJid(to).server === GROUP_SERVER) {
      const group = server.groups.get(to);
      if (!group?.members.has(account)) throw new PhoneError("not_in_group");
      return { kind: "group", group };
    }
    const other = server.find(to);
    if (!other) throw new PhoneError("no_account");
    return { kind: "person", account: other };
  }

  #upload(kind: MediaKind, plain: Uint8Array): MediaFields {
    const { server } = this.#phone.account;
    const { body, fields } = encryptMedia(kind, plain);
    return { url: server.mediaUrl(server.media.put(body)), ...fields };
  }

  /** The phone can vote only on a poll it has seen. */
  #pollSecret(id: string, received: (id: string) => ReceivedMessage | undefined): Uint8Array {
    const message = this.#kept.get(id)?.written.message ?? received(id)?.message;
    const secret = message?.messageContextInfo?.messageSecret;
    if (!secret) throw new PhoneError("no_poll");
    return secret;
  }

  /** The key of an earlier message, seen from this phone. An unknown id counts as one of the other side. */
  #keyOf(
    id: string,
    chat: Chat,
    addressing: Addressing,
    received: (id: string) => ReceivedMessage | undefined,
  ): proto.IMessageKey {
    const { server } = this.#phone.account;
    const other = this.find(id) ? undefined : received(id);
    const fromMe = this.find(id) !== undefined || (other?.fromMe ?? false);
    const fallback = chat.kind === "person" ? chat.account : this.#phone.account;
    const author = fromMe
      ? this.#phone.account
      : ((other && server.directory.get(other.from)) ?? fallback);
    const participant = jidOf({ account: author, deviceId: 0 }, addressing);
    const key = { remoteJid: jidOfChat(chat, addressing), id, fromMe };
    return chat.kind === "group" ? { ...key, participant } : key;
  }
}

type GroupChat = Extract<Chat, { kind: "group" }>["group"];

function jidOfChat(chat: Chat, addressing: Addressing): string {
  if (chat.kind === "group") return chat.group.jid;
  return jidOf({ account: chat.account, deviceId: 0 }, addressing);
}

function isAdmin({ members }: GroupChat, { account }: Phone): boolean {
  const role = members.get(account);
  return role === "admin" || role === "superadmin";
}

function ownAddressing(phone: Phone): Addressing {
  return phone.account.options.addressing === "pn" ? "pn" : "lid";
}

function deviceSent(envelope: Envelope, message: proto.IMessage): proto.IMessage {
  return { deviceSentMessage: { destinationJid: envelope.to, message } };
}
