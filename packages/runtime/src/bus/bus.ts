import { redactText } from "../redact.ts";
import type { Logger } from "../logger.ts";
import { settledWithin } from "./abort.ts";
import { Connection } from "./connection.ts";
import type { Session } from "./connection.ts";
import {
  BusClosed,
  BusUnavailable,
  NoResponder,
  PayloadTooLarge,
  RequestTimeout,
  StreamMissing,
} from "./errors.ts";
import { parseAnswer } from "./jetstream.ts";
import { startConsumer } from "./consumer.ts";
import { StreamKeeper } from "./streams.ts";
import type {
  Bus,
  BusMessage,
  BusStatus,
  BusSubscription,
  ConsumeOptions,
  Headers,
  Payload,
  PublishAck,
  PublishOptions,
  StreamDefinition,
  StreamFound,
  StreamState,
} from "./types.ts";
import type { Connect, Wire, WireMessage, WireOptions } from "./wire.ts";

export type BusOptions = Omit<WireOptions, "timeoutMs" | "servers"> & {
  /** `nats://user:password@host:port`; user and password may stand in the first URL. */
  readonly servers: readonly string[] | string;
  readonly logger: Logger;
  /** For one try to connect; default 2 s. */
  readonly connectTimeoutMs?: number;
  /** Pauses between tries: first and longest; default 100 ms and 2 s. */
  readonly reconnectMs?: readonly [first: number, longest: number];
};

type Subscription = {
  readonly subject: string;
  readonly queue: string | undefined;
  readonly handler: (message: BusMessage) => Promise<void> | void;
  readonly running: Set<Promise<void>>;
  end: (() => void) | undefined;
};

const REQUEST_TIMEOUT_MS = 2_000;
const PREPARE_LIMIT_MS = 3_000;
const HANDLER_GRACE_MS = 5_000;
const SLOW_HANDLER_MS = 5_000;

/** The bus over any client that implements `Connect`; `nats-bus.ts` is the one in use. */
export function createBusOver(connect: Connect, options: BusOptions): Bus {
  return new WireBus(connect, options);
}

class WireBus implements Bus {
  readonly #logger: Logger;
  readonly #streams: StreamKeeper;
  readonly #connection: Connection;
  readonly #subscriptions = new Set<Subscription>();
  readonly #consumers = new Set<BusSubscription>();
  #closing: Promise<void> | undefined;
  /** The connection that new subscriptions go to: live, or being prepared just now. */
  #wire: Wire | undefined;

  constructor(connect: Connect, options: BusOptions) {
    const { logger, connectTimeoutMs, reconnectMs, servers, ...wire } = options;
    this.#logger = logger.child({ component: "bus" });
    this.#streams = new StreamKeeper(this.#logger);
    this.#connection = new Connection({
      connect,
      logger: this.#logger,
      wire: { ...wire, ...splitServers(servers), timeoutMs: connectTimeoutMs ?? 2_000 },
      ...(reconnectMs === undefined ? {} : { retryMs: reconnectMs }),
      prepare: (fresh) => this.#prepare(fresh),
    });
  }

  get connected(): boolean {
    return this.#connection.status.connected;
  }

  get status(): BusStatus {
    return this.#connection.status;
  }

  onStatus(listener: (status: BusStatus) => void): () => void {
    return this.#connection.onStatus(listener);
  }

  async waitConnected(timeoutMs: number): Promise<boolean> {
    const limit = new AbortController();
    const timer = setTimeout(() => limit.abort(), timeoutMs);
    try {
      return (await this.#connection.nextSession(limit.signal)) !== undefined;
    } finally {
      clearTimeout(timer);
    }
  }

  poke(subject: string, payload: Payload = "", headers?: Headers): void {
    const wire = this.#connection.session?.wire;
    if (wire === undefined) return;
    try {
      wire.publish(subject, toBytes(payload), headers === undefined ? {} : { headers });
    } catch (error) {
      this.#logger.warn({ err: error, subject }, "poke not sent");
    }
  }

  subscribe(
    subject: string,
    handler: (message: BusMessage) => Promise<void> | void,
    options: { readonly queue?: string } = {},
  ): BusSubscription {
    this.#refuseClosed();
    const subscription: Subscription = {
      subject,
      queue: options.queue,
      handler,
      running: new Set(),
      end: undefined,
    };
    this.#subscriptions.add(subscription);
    if (this.#wire !== undefined) this.#attach(this.#wire, subscription);
    const close = async (): Promise<void> => {
      this.#subscriptions.delete(subscription);
      subscription.end?.();
      await settledWithin(Promise.all(subscription.running), HANDLER_GRACE_MS);
    };
    return { close, [Symbol.asyncDispose]: close };
  }

  async request(
    subject: string,
    payload: Payload = "",
    options: { timeoutMs?: number; headers?: Headers } = {},
  ): Promise<BusMessage> {
    const { wire } = this.#requireSession(`request to ${subject}`);
    const answer = await wire.request(subject, toBytes(payload), {
      timeoutMs: options.timeoutMs ?? REQUEST_TIMEOUT_MS,
      ...(options.headers === undefined ? {} : { headers: options.headers }),
    });
    return toBusMessage(wire, answer);
  }

  async ensureStream(definition: StreamDefinition): Promise<StreamState> {
    this.#refuseClosed();
    this.#streams.declare(definition);
    const { wire } = this.#requireSession(`stream ${definition.name}`);
    return this.#streams.ensure(wire, definition);
  }

  declareStream(definition: StreamDefinition): void {
    this.#refuseClosed();
    this.#streams.declare(definition);
    if (this.#wire === undefined) return;
    this.#streams.ensure(this.#wire, definition).catch((error: unknown) => {
      this.#logger.error({ err: error, stream: definition.name }, "stream not ensured");
    });
  }

  onStream(listener: (found: StreamFound) => void): () => void {
    return this.#streams.onStream(listener);
  }

  async streamState(name: string): Promise<StreamState> {
    const { wire } = this.#requireSession(`stream ${name}`);
    return this.#streams.state(wire, name);
  }

  async publish(subject: string, payload: Payload, options: PublishOptions): Promise<PublishAck> {
    const { wire } = this.#requireSession(`publish to ${subject}`);
    const data = toBytes(payload);
    if (data.byteLength > wire.maxPayload) {
      throw new PayloadTooLarge(subject, data.byteLength, wire.maxPayload);
    }
    try {
      return await publishOnce(wire, subject, data, options);
    } catch (error) {
      if (!(error instanceof NoResponder)) throw error;
      // No stream takes the subject: its store was deleted under us. Make it again, once.
      await this.#streams.ensureAll(wire);
      try {
        return await publishOnce(wire, subject, data, options);
      } catch (again) {
        throw again instanceof NoResponder ? new StreamMissing(`for ${subject}`) : again;
      }
    }
  }

  consume(options: ConsumeOptions): BusSubscription {
    this.#refuseClosed();
    const consumer = startConsumer(
      {
        logger: this.#logger.child({ stream: options.stream }),
        nextSession: (signal) => this.#connection.nextSession(signal),
        streamState: (wire, name) => this.#streams.state(wire, name),
        ensureStreams: (wire) => this.#streams.ensureAll(wire),
      },
      options,
    );
    const close = async (): Promise<void> => {
      this.#consumers.delete(handle);
      await consumer.close();
    };
    const handle: BusSubscription = { close, [Symbol.asyncDispose]: close };
    this.#consumers.add(handle);
    return handle;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#consumers].map((consumer) => consumer.close()));
    const subscriptions = [...this.#subscriptions];
    this.#subscriptions.clear();
    for (const subscription of subscriptions) subscription.end?.();
    const running = subscriptions.map((subscription) => Promise.all(subscription.running));
    await settledWithin(Promise.all(running), HANDLER_GRACE_MS);
    await this.#connection.close();
  }

  async #prepare(wire: Wire): Promise<void> {
    this.#wire = wire;
    void this.#forgetWhenClosed(wire);
    for (const subscription of this.#subscriptions) this.#attach(wire, subscription);
    // Bounded: core NATS must work although JetStream may still be starting or down.
    await settledWithin(this.#streams.ensureAll(wire), PREPARE_LIMIT_MS);
  }

  async #forgetWhenClosed(wire: Wire): Promise<void> {
    await wire.closed;
    if (this.#wire === wire) this.#wire = undefined;
  }

  #attach(wire: Wire, subscription: Subscription): void {
    const { subject, queue } = subscription;
    subscription.end = wire.subscribe(subject, {
      ...(queue === undefined ? {} : { queue }),
      onMessage: (message) => this.#handle(wire, subscription, message),
      onError: (error) => this.#logger.error({ err: error, subject }, "subscription refused"),
    });
  }

  #handle(wire: Wire, subscription: Subscription, message: WireMessage): void {
    const startedAt = performance.now();
    const run = (async (): Promise<void> => {
      try {
        await subscription.handler(toBusMessage(wire, message));
      } catch (error) {
        this.#logger.error({ err: error, subject: message.subject }, "a message handler failed");
      }
      const durationMs = Math.round(performance.now() - startedAt);
      if (durationMs > SLOW_HANDLER_MS) {
        this.#logger.warn(
          { subject: redactText(message.subject), duration_ms: durationMs },
          "a message handler was slow",
        );
      }
    })();
    subscription.running.add(run);
    void run.finally(() => subscription.running.delete(run));
  }

  #requireSession(what: string): Session {
    this.#refuseClosed();
    const session = this.#connection.session;
    if (session === undefined) throw new BusUnavailable("disconnected", what, this.status.error);
    return session;
  }

  #refuseClosed(): void {
    if (this.#closing !== undefined) throw new BusClosed();
  }
}

async function publishOnce(
  wire: Wire,
  subject: string,
  data: Uint8Array,
  options: PublishOptions,
): Promise<PublishAck> {
  try {
    const answer = await wire.request(subject, data, {
      timeoutMs: options.timeoutMs ?? REQUEST_TIMEOUT_MS,
      headers: { ...options.headers, "Nats-Msg-Id": options.msgId },
    });
    const ack = parseAnswer<{ stream: string; seq: number; duplicate?: boolean }>(
      `publish to ${subject}`,
      answer.data,
    );
    return { stream: ack.stream, seq: ack.seq, isDuplicate: ack.duplicate === true };
  } catch (error) {
    // Without an answer it is unknown whether the message was stored; the same msgId makes sure.
    if (error instanceof RequestTimeout) throw new BusUnavailable("timeout", subject, error);
    throw error;
  }
}

function toBusMessage(wire: Wire, message: WireMessage): BusMessage {
  return {
    subject: message.subject,
    data: message.data,
    header: (name) => message.header(name),
    respond: (data, headers) => {
      if (message.reply === undefined) return;
      try {
        wire.publish(message.reply, toBytes(data), headers === undefined ? {} : { headers });
      } catch {
        // Whoever asked times out; it is gone from this connection as we are.
      }
    },
  };
}

function toBytes(payload: Payload): Uint8Array {
  return typeof payload === "string" ? Buffer.from(payload) : payload;
}

/** Client libraries do not take user and password out of the URL. */
function splitServers(
  servers: readonly string[] | string,
): Pick<WireOptions, "servers"> & { user?: string; password?: string } {
  const urls = (typeof servers === "string" ? servers.split(",") : servers).map(
    (server) => new URL(server.includes("://") ? server.trim() : `nats://${server.trim()}`),
  );
  const login = urls.find((url) => url.username !== "");
  return {
    servers: urls.map((url) => `${url.protocol}//${url.host}`),
    ...(login === undefined
      ? {}
      : { user: decodeURIComponent(login.username), password: decodeURIComponent(login.password) }),
  };
}
