/** Puts events into the order of their chats and drops what came before. No I/O. */
import type { Clock } from "@manyline/runtime";

/** What the order needs to know of an event. */
export type Placed = {
  readonly id: string;
  /** Undefined: it belongs to no chat and goes through at once. */
  readonly chatId: string | undefined;
  readonly seq: number | undefined;
};

export type OrderOptions = {
  readonly clock: Pick<Clock, "monotonic" | "setTimer">;
  /** How long an event waits for those before it; default 5 s. */
  readonly gapMs?: number;
  /**
   * How long the first event of a chat that was not met before waits; default 250 ms. What came before it may
   * have been long ago, so this is only for events that overtake each other.
   */
  readonly firstGapMs?: number;
  /** So many ids, and so many chats, are remembered; default 100,000. */
  readonly remembered?: number;
};

/** `isLate`: something behind it in its chat was given out before, after the wait was over. */
export type Give<T> = (event: T, isLate: boolean) => void;

type Waiting<T> = { readonly event: T; readonly seq: number; readonly deadline: number };
type ChatState<T> = {
  /** The highest that was given out; 0: nothing of a new chat. */
  last: number;
  isNew: boolean;
  readonly waiting: Map<number, Waiting<T>>;
  cancel: (() => void) | undefined;
};

export class ChatOrder<T extends Placed> {
  readonly #give: Give<T>;
  readonly #clock: OrderOptions["clock"];
  readonly #gapMs: number;
  readonly #firstGapMs: number;
  readonly #remembered: number;
  /** In the order of their last use, so that the first is the one to forget. */
  readonly #chats = new Map<string, ChatState<T>>();
  readonly #seen = new Set<string>();

  constructor(options: OrderOptions, give: Give<T>) {
    this.#clock = options.clock;
    this.#gapMs = options.gapMs ?? 5_000;
    this.#firstGapMs = options.firstGapMs ?? 250;
    this.#remembered = options.remembered ?? 100_000;
    this.#give = give;
  }

  /** False: it was here before. Otherwise it is given out now, or when its turn has come. */
  push(event: T): boolean {
    if (this.#seen.has(event.id)) return false;
    this.#remember(event.id);
    const { chatId, seq } = event;
    if (chatId === undefined || seq === undefined) this.#give(event, false);
    else this.#place(chatId, event, seq);
    return true;
  }

  /** An event whose handling was given up may come again. */
  forget(id: string): void {
    this.#seen.delete(id);
  }

  /** Gives out everything that waits, in its order, without waiting for gaps. */
  flush(): void {
    for (const state of this.#chats.values()) this.#release(state, Number.POSITIVE_INFINITY);
  }

  #place(chatId: string, event: T, seq: number): void {
    const state = this.#stateOf(chatId);
    const isFirst = seq === 1 || seq === state.last + 1;
    if (!state.isNew && seq <= state.last) {
      this.#give(event, true);
      return;
    }
    const wait = isFirst ? 0 : state.isNew ? this.#firstGapMs : this.#gapMs;
    state.waiting.set(seq, { event, seq, deadline: this.#clock.monotonic() + wait });
    if (isFirst) this.#release(state, seq);
    // Deadlines come in the order of arrivals: a timer that runs is the right one.
    else if (!state.cancel) this.#setTimer(state);
  }

  /** Gives out what waits up to `seq`, and what follows it without a gap. */
  #release(state: ChatState<T>, seq: number): void {
    const inOrder = [...state.waiting.values()].toSorted((a, b) => a.seq - b.seq);
    for (const one of inOrder) {
      if (one.seq > seq && one.seq !== state.last + 1) break;
      state.waiting.delete(one.seq);
      state.last = one.seq;
      state.isNew = false;
      this.#give(one.event, false);
    }
    this.#setTimer(state);
  }

  #setTimer(state: ChatState<T>): void {
    state.cancel?.();
    state.cancel = undefined;
    const [first] = [...state.waiting.values()].toSorted((a, b) => a.deadline - b.deadline);
    if (!first) return;
    const ms = Math.max(0, first.deadline - this.#clock.monotonic());
    state.cancel = this.#clock.setTimer(ms, () => {
      state.cancel = undefined;
      const now = this.#clock.monotonic();
      const over = [...state.waiting.values()].filter(({ deadline }) => deadline <= now);
      // Whoever waited long enough takes those before it along.
      this.#release(state, Math.max(first.seq, ...over.map((one) => one.seq)));
    });
  }

  #stateOf(chatId: string): ChatState<T> {
    const known = this.#chats.get(chatId);
    const state = known ?? { last: 0, isNew: true, waiting: new Map(), cancel: undefined };
    this.#chats.delete(chatId);
    this.#chats.set(chatId, state);
    if (this.#chats.size > this.#remembered) this.#forgetChat();
    return state;
  }

  #forgetChat(): void {
    for (const [chatId, state] of this.#chats) {
      if (state.waiting.size > 0) continue;
      this.#chats.delete(chatId);
      return;
    }
  }

  #remember(id: string): void {
    this.#seen.add(id);
    if (this.#seen.size <= this.#remembered) return;
    const [oldest] = this.#seen;
    if (oldest !== undefined) this.#seen.delete(oldest);
  }
}
