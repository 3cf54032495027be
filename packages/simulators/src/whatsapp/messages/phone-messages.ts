import type { Phone } from "../phone.ts";
import { read } from "./contents.ts";
import type { Content } from "./contents.ts";
import { Inbox, openFile } from "./inbox.ts";
import type { ReceivedMessage } from "./inbox.ts";
import type { Letter } from "./letter.ts";
import { Outbox } from "./outbox.ts";
import type { SentMessage } from "./outbox.ts";
import type { Receipt, ReceiptType, RetryRequest } from "./receipts.ts";
import { SenderKeys } from "./sender-keys.ts";

/** The messages of one phone: writes, reads and remembers. Not kept over a restart. */
export class PhoneMessages {
  readonly #phone: Phone;
  readonly #senderKeys = new SenderKeys();
  readonly #inbox: Inbox;
  readonly #outbox: Outbox;

  constructor(phone: Phone) {
    this.#phone = phone;
    this.#inbox = new Inbox(phone, this.#senderKeys);
    this.#outbox = new Outbox(phone, this.#senderKeys);
  }

  /** what arrived here and could be read, in order of arrival; repetitions are counted, not listed */
  get received(): ReceivedMessage[] {
    return this.#inbox.received;
  }

  /** what this phone wrote, in order */
  get sent(): SentMessage[] {
    return this.#outbox.sent;
  }

  /** what waits for the phone to come online */
  get waiting(): number {
    return this.#inbox.waiting;
  }

  /**
   * Writes a message.
   * @param to a phone number (a contact is made on demand) or a group's address
   * @param id to say what the protocol calls it; else it is made
   * @returns once the server has it; receipts are added to it as they come
   * @throws {PhoneError} `offline`, `no_account`, `not_in_group`, `not_admin`, `no_poll`
   */
  send(to: string, content: Content, id?: string): Promise<SentMessage> {
    return this.#outbox.send(to, content, (target) => this.#inbox.find(target), id);
  }

  sendText(to: string, text: string): Promise<SentMessage> {
    return this.send(to, { kind: "text", text });
  }

  /** The owner opens a chat, or plays a recording. @returns how many messages were confirmed */
  confirm(chat: string, type: Exclude<ReceiptType, "delivered"> = "read", id?: string): number {
    return this.#inbox.confirm(chat, type, id);
  }

  /** The decrypted file of a received message, if it is there and whole. */
  file(id: string): Buffer | undefined {
    const message = this.#inbox.find(id)?.message;
    const media = message && read(message)?.media;
    const plain = media && openFile(this.#phone, media);
    return typeof plain === "string" ? undefined : plain;
  }

  forget(): void {
    this.#inbox.forget();
    this.#outbox.forget();
  }

  /** Members left a group: the next message there comes with a new key for all. */
  changeGroupKey(group: string): void {
    this.#senderKeys.forget(group, { account: this.#phone.account, deviceId: 0 });
  }

  take(letter: Letter): void {
    this.#inbox.take(letter);
  }

  takeReceipt(receipt: Receipt): void {
    this.#outbox.takeReceipt(receipt);
  }

  sendAgain(request: RetryRequest): void {
    this.#outbox.sendAgain(request);
  }

  flush(): void {
    this.#inbox.flush();
  }
}
