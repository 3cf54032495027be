import { createClock } from "@manyline/runtime";
import type { Clock } from "@manyline/runtime";
import { ChatOrder } from "./chat-order.ts";
import type { ManylineEvent } from "./events.ts";
import { backoff, sleep } from "./http.ts";

/** Handles one event. When it throws, the same event comes again after a pause, and its chat waits. */
export type EventHandler = (event: ManylineEvent) => Promise<void> | void;

export type SubscribeOptions = {
  readonly handler: EventHandler;
  /** How often a handler is tried with one event; default 5. */
  readonly attempts?: number;
  /**
   * An event whose handler has failed that often. Without this the subscription ends with the handler's
   * error, so that nothing is lost in silence; with it the event counts as handled.
   */
  readonly onGiveUp?: (event: ManylineEvent, error: unknown) => Promise<void> | void;
  /** How long an event waits for those before it in its chat; default 5 s. */
  readonly gapMs?: number;
  /** So many event ids and chats are remembered; default 100,000. */
  readonly remembered?: number;
  /** So many events are read ahead of their handlers; default 256. */
  readonly readAhead?: number;
};

/** A running subscription. */
export type Subscription = AsyncDisposable & {
  /** Resolves when it was closed; rejects when it cannot go on: a token that is refused, a handler that gave up. */
  readonly done: Promise<void>;
  /** Takes no more events and waits for the handlers that run. */
  close(): Promise<void>;
};

/** Where events come from. */
export type EventSource = {
  /**
   * Hands events to `inbox` until `signal`. Rejects when it cannot go on.
   */
  run(inbox: Inbox, signal: AbortSignal): Promise<void>;
};

export type Inbox = {
  /**
   * Resolves when the event was handled, or is known to have been; rejects when the subscription ended before
   * that. Wait for `room` before the next one.
   */
  take(event: ManylineEvent): Promise<void>;
  /** Resolves when fewer than `readAhead` events wait. */
  room(): Promise<void>;
};

/** Runs a source into a handler: each chat in order and one event at a time, chats side by side. */
export function subscribe(source: EventSource, options: SubscribeOptions): Subscription {
  const abort = new AbortController();
  const dispatcher = new Dispatcher(options, abort);
  const done = run(source, dispatcher, abort);
  // Whoever does not look at `done` is told of its failure by close().
  done.catch(() => undefined);
  const close = async (): Promise<void> => {
    abort.abort();
    await done;
  };
  return { done, close, [Symbol.asyncDispose]: close };
}

async function run(
  source: EventSource,
  dispatcher: Dispatcher,
  abort: AbortController,
): Promise<void> {
  const { signal } = abort;
  const aborted = Promise.withResolvers<void>();
  signal.addEventListener("abort", () => aborted.resolve(), { once: true });
  const running = source.run(dispatcher, signal).catch((error: unknown) => {
    if (!signal.aborted) dispatcher.fail(error);
  });
  await Promise.race([running, aborted.promise]);
  abort.abort();
  // First the handlers, so that the source can still tell what was handled.
  await dispatcher.end();
  await running;
  dispatcher.throwFailure();
}

/** An event was not handled, because the subscription ended before that. */
export class SubscriptionEnded extends Error {
  override readonly name = "SubscriptionEnded";
  readonly retry = "later";
}

type Waiter = { readonly promise: Promise<void>; resolve(): void; reject(error: Error): void };

class Dispatcher implements Inbox {
  readonly #options: SubscribeOptions;
  readonly #abort: AbortController;
  readonly #order: ChatOrder<ManylineEvent>;
  /** Of each chat, and of each number for what belongs to no chat: the end of what is to be handled. */
  readonly #lanes = new Map<string, Promise<void>>();
  readonly #waiters = new Map<string, Waiter>();
  #hasRoom = Promise.withResolvers<void>();
  #failure: { readonly error: unknown } | undefined;

  constructor(options: SubscribeOptions, abort: AbortController) {
    this.#options = options;
    this.#abort = abort;
    const clock: Clock = createClock();
    const { gapMs, remembered } = options;
    this.#order = new ChatOrder(
      {
        clock,
        ...(gapMs === undefined ? {} : { gapMs }),
        ...(remembered === undefined ? {} : { remembered }),
      },
      (event, isLate) => this.#enqueue({ ...event, isLate }),
    );
  }

  take(event: ManylineEvent): Promise<void> {
    const known = this.#waiters.get(event.id);
    if (known) return known.promise;
    if (this.#abort.signal.aborted)
      return Promise.reject(new SubscriptionEnded("the subscription has ended"));
    const waiter = Promise.withResolvers<void>();
    waiter.promise.catch(() => undefined);
    this.#waiters.set(event.id, waiter);
    if (!this.#order.push(event)) this.#settle(event.id);
    return waiter.promise;
  }

  async room(): Promise<void> {
    while (this.#waiters.size >= (this.#options.readAhead ?? 256)) {
      if (this.#abort.signal.aborted) return;
      await this.#hasRoom.promise;
    }
  }

  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#abort.abort();
  }

  /** Waits for handlers that run. What waits was not handled; it comes again from where the source goes on. */
  async end(): Promise<void> {
    await Promise.all(this.#lanes.values());
    for (const [id, waiter] of this.#waiters) {
      this.#waiters.delete(id);
      waiter.reject(new SubscriptionEnded("the subscription has ended"));
    }
    this.#wake();
  }

  /** Throws what the subscription could not go on with. */
  throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }

  #enqueue(event: ManylineEvent): void {
    const lane = event.chatId ?? event.numberId ?? "";
    const before = this.#lanes.get(lane) ?? Promise.resolve();
    const own = before.then(() => this.#handle(event));
    this.#lanes.set(lane, own);
    void own.then(() => {
      if (this.#lanes.get(lane) === own) this.#lanes.delete(lane);
      return undefined;
    });
  }

  /** Never rejects. */
  async #handle(event: ManylineEvent): Promise<void> {
    const { handler, attempts = 5, onGiveUp } = this.#options;
    for (let made = 1; !this.#abort.signal.aborted; made += 1) {
      try {
        await handler(event);
        this.#settle(event.id);
        return;
      } catch (error) {
        if (made >= attempts) {
          if (await this.#gaveUp(event, error, onGiveUp)) this.#settle(event.id);
          return;
        }
        await sleep(backoff(made), this.#abort.signal).catch(() => undefined);
      }
    }
  }

  async #gaveUp(
    event: ManylineEvent,
    error: unknown,
    onGiveUp: SubscribeOptions["onGiveUp"],
  ): Promise<boolean> {
    try {
      if (!onGiveUp) throw error;
      await onGiveUp(event, error);
      return true;
    } catch (failure) {
      this.fail(failure);
      return false;
    }
  }

  #settle(id: string): void {
    this.#waiters.get(id)?.resolve();
    this.#waiters.delete(id);
    this.#wake();
  }

  #wake(): void {
    this.#hasRoom.resolve();
    this.#hasRoom = Promise.withResolvers<void>();
  }
}
