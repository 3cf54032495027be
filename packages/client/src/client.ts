import type {
  ChatList,
  ChatSummary,
  CheckAnswer,
  Contact,
  ContactList,
  Message,
  MessageList,
  SendAnswer,
  SendMessage,
  StatusAnswer,
  UploadAnswer,
} from "@manyline/contracts";
import { Http } from "./http.ts";
import type { HttpOptions, HttpRequest } from "./http.ts";

export type ClientOptions = HttpOptions & {
  /** The outer id of the token's company, e.g. `962302`. */
  readonly companyId: string;
};

/** What can be sent and waits in the queue of its chat. */
export type Sendable = Exclude<SendMessage, { type: "read" | "typing" }>;
/** What is done at once or not at all. */
export type Signal = Extract<SendMessage, { type: "read" | "typing" }>;

type ForNumber = {
  /** num_…; without it the company's primary number. */
  readonly number?: string;
};
type Page = { readonly before?: string; readonly limit?: number };
type MessageFilter = ForNumber & {
  readonly chat?: string;
  readonly contact?: string;
};

export type Download = {
  readonly mimeType: string;
  readonly bytes: number;
  readonly stream: ReadableStream<Uint8Array>;
};

/**
 * The REST routes for messages, of one company. Every method throws ManylineApiError (refused, with a code) or
 * ManylineUnreachable; what passes (503, 429 with a short Retry-After, a broken connection) is tried again
 * where that does no harm.
 */
export class ManylineClient {
  readonly #http: Http;
  readonly #base: string;

  constructor(options: ClientOptions) {
    this.#http = new Http(options);
    this.#base = `/api/whatsapp/sessions/${encodeURIComponent(options.companyId)}`;
  }

  /**
   * Queues a message, a reaction, an edit or a deletion. `key` is the Idempotency-Key: with the key of your own
   * record (an order's id) the message is sent once, whatever happens to your process. Without one a key is
   * made for this call, which makes its own repetitions safe.
   */
  async send(message: Sendable, options: ForNumber & { key?: string } = {}): Promise<SendAnswer> {
    return this.#http.json<SendAnswer>({
      method: "POST",
      path: `${this.#base}/messages`,
      query: { number: options.number },
      json: message,
      headers: { "idempotency-key": options.key ?? crypto.randomUUID() },
      isRepeatable: true,
    });
  }

  /** Marks messages as read, or shows that somebody types. */
  async signal(signal: Signal, options: ForNumber = {}): Promise<void> {
    await this.#http.json({
      method: "POST",
      path: `${this.#base}/messages`,
      query: { number: options.number },
      json: signal,
      isRepeatable: true,
    });
  }

  async message(messageId: string): Promise<Message> {
    const path = `/messages/${encodeURIComponent(messageId)}`;
    return (await this.#get<{ message: Message }>(path, {})).message;
  }

  /** A page, the newest first. */
  messages(query: MessageFilter & Page = {}): Promise<MessageList> {
    return this.#get("/messages", query);
  }

  /** All of them, page by page, the newest first. */
  allMessages(filter: MessageFilter = {}): AsyncGenerator<Message> {
    return all(async (before) => {
      const { messages, next } = await this.messages({ ...filter, ...before });
      return { items: messages, next };
    });
  }

  /** A page, the chat that was last written in first. */
  chats(query: ForNumber & Page = {}): Promise<ChatList> {
    return this.#get("/chats", query);
  }

  allChats(filter: ForNumber = {}): AsyncGenerator<ChatSummary> {
    return all(async (before) => {
      const { chats, next } = await this.chats({ ...filter, ...before });
      return { items: chats, next };
    });
  }

  /** A page, the youngest first. `search`: a part of the name, or three digits of the phone or more. */
  contacts(query: Page & { search?: string } = {}): Promise<ContactList> {
    return this.#get("/contacts", query);
  }

  allContacts(filter: { search?: string } = {}): AsyncGenerator<Contact> {
    return all(async (before) => {
      const { contacts, next } = await this.contacts({ ...filter, ...before });
      return { items: contacts, next };
    });
  }

  /** Of a contact that was merged the one that goes on. */
  async contact(contactId: string): Promise<Contact> {
    const path = `/contacts/${encodeURIComponent(contactId)}`;
    return (await this.#get<{ contact: Contact }>(path, {})).contact;
  }

  /** Which phones are on WhatsApp, in the order asked. The number must be connected. */
  async check(phones: readonly string[], options: ForNumber = {}): Promise<CheckAnswer["results"]> {
    const { results } = await this.#http.json<CheckAnswer>({
      method: "POST",
      path: `${this.#base}/check`,
      query: { number: options.number },
      json: { phones },
      isRepeatable: true,
    });
    return results;
  }

  /** Uploads a file, to be sent by its `mediaId`. A stream is sent once and not repeated. */
  async upload(
    file: Uint8Array | Blob | ReadableStream<Uint8Array>,
    options: ForNumber & { mimeType?: string; fileName?: string } = {},
  ): Promise<UploadAnswer> {
    return this.#http.json<UploadAnswer>({
      method: "POST",
      path: `${this.#base}/media`,
      query: { number: options.number, fileName: options.fileName },
      // A copy: TypeScript wants to know that the bytes are not shared with another thread.
      body: file instanceof Uint8Array ? new Uint8Array(file) : file,
      headers: { "content-type": options.mimeType ?? "application/octet-stream" },
      isRepeatable: !(file instanceof ReadableStream),
    });
  }

  /** A file of a message; one that came in is fetched from WhatsApp first, if need be. */
  async download(mediaId: string): Promise<Download> {
    const response = await this.#http.send({
      method: "GET",
      path: `${this.#base}/media/${encodeURIComponent(mediaId)}`,
      isRepeatable: true,
    });
    const { headers, body } = response;
    return {
      mimeType: headers.get("content-type") ?? "application/octet-stream",
      bytes: Number(headers.get("content-length") ?? 0),
      stream: body ?? new ReadableStream({ start: (controller) => controller.close() }),
    };
  }

  /** Whether the number is connected, and what a person can do if it is not. */
  status(options: ForNumber = {}): Promise<StatusAnswer> {
    return this.#get("/status", options);
  }

  #get<T>(path: string, query: NonNullable<HttpRequest["query"]>): Promise<T> {
    return this.#http.json<T>({
      method: "GET",
      path: `${this.#base}${path}`,
      query,
      isRepeatable: true,
    });
  }
}

async function* all<T>(
  page: (cursor: { before?: string }) => Promise<{ items: readonly T[]; next: string | null }>,
): AsyncGenerator<T> {
  for (let cursor: { before?: string } = {}; ;) {
    const { items, next } = await page(cursor);
    yield* items;
    if (next === null) return;
    cursor = { before: next };
  }
}
