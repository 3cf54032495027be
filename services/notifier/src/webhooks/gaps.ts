/** Notices when an event of a chat comes before one that belongs in front of it. No I/O. */

/** Of a chat: everything up to `seq` has come, as far as anybody here knows; and what has come beyond a gap. */
type Chat = { seq: number; beyond: Map<number, number> };

export type Placing = {
  /** So long the event has to wait for those before it. */
  holdMs: number;
  /** A gap was filled: what was held up to here need not wait any more. */
  releaseTo: number | undefined;
};

const AT_ONCE: Placing = { holdMs: 0, releaseTo: undefined };

export type GapsOptions = {
  gapMs: number;
  /** What was before the first event of a chat nobody here knows; until `youngUntilMs` it may come behind it. */
  firstGapMs: number;
  youngUntilMs: number;
  /** So many chats are remembered. */
  most: number;
};

export class Gaps {
  readonly #options: GapsOptions;
  /** In the order of their last use. */
  readonly #chats = new Map<string, Chat>();

  constructor(options: GapsOptions) {
    this.#options = options;
  }

  /** `atMs`: a clock that never goes back. */
  place(chatId: string, seq: number, atMs: number): Placing {
    const chat = this.#chats.get(chatId);
    this.#chats.delete(chatId);
    if (!chat) {
      this.#chats.set(chatId, { seq, beyond: new Map() });
      this.#forget();
      const { youngUntilMs, firstGapMs } = this.#options;
      return seq > 1 && atMs < youngUntilMs
        ? { holdMs: firstGapMs, releaseTo: undefined }
        : AT_ONCE;
    }
    this.#chats.set(chatId, chat);
    if (seq <= chat.seq) return AT_ONCE;
    this.#giveUp(chat, atMs);
    if (seq > chat.seq + 1) {
      chat.beyond.set(seq, atMs);
      return { holdMs: this.#options.gapMs, releaseTo: undefined };
    }
    chat.seq = seq;
    while (chat.beyond.delete(chat.seq + 1)) chat.seq += 1;
    return { holdMs: 0, releaseTo: chat.seq > seq ? chat.seq : undefined };
  }

  /** What was held for long enough goes out by itself, and nobody waits for what is missing before it. */
  #giveUp(chat: Chat, atMs: number): void {
    const over = [...chat.beyond].filter(([, since]) => atMs - since >= this.#options.gapMs);
    const last = Math.max(chat.seq, ...over.map(([seq]) => seq));
    for (const seq of chat.beyond.keys()) if (seq <= last) chat.beyond.delete(seq);
    chat.seq = last;
    while (chat.beyond.delete(chat.seq + 1)) chat.seq += 1;
  }

  #forget(): void {
    const [oldest] = this.#chats.keys();
    if (this.#chats.size > this.#options.most && oldest !== undefined) this.#chats.delete(oldest);
  }
}
