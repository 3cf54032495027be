/**
 * The bus: core NATS for pokes, requests and secrets that must not be stored, JetStream for events.
 *
 * Words: a *poke* is a core message that may be lost; a *stream* stores messages under sequence
 * numbers; its *incarnation* is its creation time, by which a store that was deleted and made again
 * is told from the old one; a *durable* is a named consumer whose place the server remembers.
 */

/** Payload: bytes, or a text that is sent as UTF-8. */
export type Payload = Uint8Array | string;

export type Headers = Readonly<Record<string, string>>;

export type BusStatus = {
  readonly connected: boolean;
  /** When this state began. */
  readonly since: Date;
  /** Of the connected server, as in `2.9.10`. */
  readonly serverVersion?: string;
  /** Why there is no connection. */
  readonly error?: Error;
};

/** A core NATS message. */
export type BusMessage = {
  readonly subject: string;
  readonly data: Uint8Array;
  /** A header's first value. */
  header(name: string): string | undefined;
  /** Answers a request; without one asked, or disconnected by now, it does nothing. */
  respond(data: Payload, headers?: Headers): void;
};

/** A running subscription or consumer. */
export type BusSubscription = AsyncDisposable & {
  /** Takes no more messages and waits for handlers that run, at most 5 s. */
  close(): Promise<void>;
};

/** What a stream must be. Sizes in bytes, times in ms. Anything left out is not compared. */
export type StreamDefinition = {
  readonly name: string;
  readonly subjects: readonly string[];
  readonly maxAgeMs: number;
  /** -1: no limit. */
  readonly maxBytes: number;
  /** 1 on one server, 3 in production. */
  readonly replicas: number;
  /** Default `file`. */
  readonly storage?: "file" | "memory";
  /** Default `limits`. */
  readonly retention?: "limits" | "workqueue" | "interest";
  /** How long `msgId`s are remembered; default 2 minutes. Never longer than `maxAgeMs`. */
  readonly duplicateWindowMs?: number;
  /** The largest message taken; -1 (default): what the server takes. */
  readonly maxMessageBytes?: number;
  readonly description?: string;
};

export type StreamState = {
  /** The stream's creation time, ISO 8601 with nanoseconds, as the server writes it. */
  readonly incarnation: string;
  /** 0 when nothing was ever stored. Sequences start at 1. */
  readonly lastSeq: number;
  readonly firstSeq: number;
  readonly messageCount: number;
  readonly byteCount: number;
};

/** Told whenever a declared stream is found in an incarnation this process has not met before. */
export type StreamFound = StreamState & {
  readonly name: string;
  /** This process created it just now: it is empty, and whatever the old one held is gone. */
  readonly isCreated: boolean;
  /** The incarnation met before, undefined at first sight. */
  readonly previous: string | undefined;
};

export type PublishOptions = {
  /**
   * The server drops a second message with the same id within the stream's duplicate window, by the
   * id alone: another subject or body makes no difference. Prefix ids with what makes them unique.
   */
  readonly msgId: string;
  readonly headers?: Headers;
  /** How long to wait for the acknowledgement; default 2 s. */
  readonly timeoutMs?: number;
};

export type PublishAck = {
  readonly stream: string;
  /** For a duplicate: the sequence of the first. */
  readonly seq: number;
  readonly isDuplicate: boolean;
};

/** A message out of a stream. */
export type StreamMessage = {
  readonly stream: string;
  readonly subject: string;
  readonly data: Uint8Array;
  readonly seq: number;
  /** When the server stored it. */
  readonly storedAt: Date;
  /** 1 for the first delivery, as the server counts; restarts of this process count too. */
  readonly deliveryCount: number;
  /** How many messages this consumer still has before it, at the time of delivery. */
  readonly pendingCount: number;
  readonly msgId: string | undefined;
  header(name: string): string | undefined;
};

/**
 * What becomes of a message. `ack`: done (what a handler that returns nothing means). `retry`: come
 * again after a pause that grows, or after `delayMs`. `give-up`: never again, tell `onGiveUp`.
 */
export type Outcome =
  | "ack"
  | "retry"
  | "give-up"
  | { readonly outcome: "retry"; readonly delayMs: number }
  | { readonly outcome: "give-up"; readonly reason: string };

export type GivenUp = {
  readonly message: StreamMessage;
  readonly reason: string;
  /** What the handler threw, if it threw. */
  readonly error: unknown;
};

/** Where a consumer begins when it is new; a durable that exists goes on where it was. */
export type StartAt = "all" | "new" | { readonly seq: number } | { readonly time: Date };

type ConsumeBase = {
  readonly stream: string;
  /** One filter only: servers before 2.10 refuse several. Default: everything in the stream. */
  readonly filterSubject?: string;
  /** Default `all`. */
  readonly startAt?: StartAt;
};

type DurableBase = ConsumeBase & {
  readonly durable: string;
  /** How many messages this process holds unanswered at a time; default 64. */
  readonly maxInFlight?: number;
  /** Silence after which the server gives a message to somebody else; default 30 s. It is extended while a handler runs. */
  readonly ackWaitMs?: number;
  /** How many failures, counted in this process, end in giving up; default 10. Errors that say `retry: 'later'` or `'now'` do not count. */
  readonly maxAttempts?: number;
  /** The pause before attempt n + 1 in ms; the default grows from 1 s to 1 minute. */
  readonly retryDelayMs?: (attempt: number) => number;
  /**
   * Called before a message is dropped for good. When it throws, the message is retried, so nothing
   * is lost to a dead letter store that is down.
   */
  readonly onGiveUp?: (givenUp: GivenUp) => Promise<void> | void;
};

/** A durable whose handler takes one message. Up to `maxInFlight` run side by side. */
export type DurableOptions = DurableBase & {
  readonly handler: (message: StreamMessage) => Promise<Outcome | void> | Outcome | void;
};

/**
 * A durable whose handler takes several messages, in stream order, one batch after the other. When
 * it throws an error without `retry: 'later' | 'now'`, the batch is halved until the one bad message
 * is found; so a handler must be all or nothing, and safe to repeat.
 */
export type BatchOptions = DurableBase & {
  readonly batch: {
    readonly maxMessages: number;
    /** How long to wait for more once there is one; default 5 ms. */
    readonly maxWaitMs?: number;
  };
  readonly handleBatch: (messages: readonly StreamMessage[]) => Promise<void> | void;
};

/**
 * Reads in stream order, without a place on the server: nothing is acknowledged, after a break it
 * goes on behind the last message that was handled. For feeds and caches.
 */
export type OrderedOptions = ConsumeBase & {
  readonly ordered: true;
  /** One at a time, awaited. What it throws is logged, and reading goes on. */
  readonly handler: (message: StreamMessage) => Promise<void> | void;
  /**
   * The incarnation that `startAt.seq` belongs to, if known. When the stream is another one or was
   * rolled back behind that sequence, reading starts at its beginning and `onReset` is told.
   */
  readonly incarnation?: string;
  readonly onReset?: (state: StreamState) => void;
};

export type ConsumeOptions = DurableOptions | BatchOptions | OrderedOptions;

export type Bus = AsyncDisposable & {
  /** True once subscriptions and declared streams are in place on a live connection. */
  readonly connected: boolean;
  readonly status: BusStatus;
  /** Called at every change of `connected`; the answer ends it. A new listener is not told the present state. */
  onStatus(listener: (status: BusStatus) => void): () => void;
  /** Resolves true when connected, false after `timeoutMs`. */
  waitConnected(timeoutMs: number): Promise<boolean>;

  /** Core publish. While disconnected it is dropped silently, never kept for later. Never throws. */
  poke(subject: string, payload?: Payload, headers?: Headers): void;
  /**
   * Core subscription; it outlives reconnects and may be made while disconnected. With `queue`, one
   * member of the queue gets each message. Slow and failing handlers are logged.
   */
  subscribe(
    subject: string,
    handler: (message: BusMessage) => Promise<void> | void,
    options?: { readonly queue?: string },
  ): BusSubscription;
  /** Throws BusUnavailable, NoResponder or RequestTimeout. Default limit 2 s. */
  request(
    subject: string,
    payload?: Payload,
    options?: { timeoutMs?: number; headers?: Headers },
  ): Promise<BusMessage>;

  /**
   * Makes the stream exist now, and from now on: after every reconnect and whenever it is found
   * missing. Subjects that a newer version has more are added to one that exists. Throws BusUnavailable (it stays declared), StreamMismatch or BusRefused.
   */
  ensureStream(definition: StreamDefinition): Promise<StreamState>;
  /** As ensureStream, but in the background: for a start that must not wait for NATS. */
  declareStream(definition: StreamDefinition): void;
  /** Called at first sight of a declared stream and at each new incarnation of it. */
  onStream(listener: (found: StreamFound) => void): () => void;
  /** Straight from the server. Throws BusUnavailable, StreamMissing. */
  streamState(name: string): Promise<StreamState>;
  /** Stores a message. Throws BusUnavailable at once while disconnected, StreamMissing, PayloadTooLarge, BusRefused. */
  publish(subject: string, payload: Payload, options: PublishOptions): Promise<PublishAck>;
  /** Starts consuming, now or when connected; goes on after every kind of break until closed. */
  consume(options: ConsumeOptions): BusSubscription;

  /** Stops consumers, waits for handlers, sends what is written, disconnects. */
  close(): Promise<void>;
};
