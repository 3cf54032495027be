/** The only file that imports the `nats` package. */
import {
  connect as natsConnect,
  createInbox,
  credsAuthenticator,
  ErrorCode,
  headers as newHeaders,
  NatsError,
  nkeyAuthenticator,
} from "nats";
import type { ConnectionOptions, Msg, MsgHdrs, NatsConnection } from "nats";
import { createBusOver } from "./bus.ts";
import type { BusOptions } from "./bus.ts";
import { BusRefused, BusUnavailable, NoResponder, RequestTimeout } from "./errors.ts";
import type { Bus, Headers } from "./types.ts";
import type { Wire, WireMessage, WireOptions } from "./wire.ts";

/**
 * Makes the bus of a process. It begins to connect at once and goes on trying for ever: a NATS that
 * is down delays nothing here, `bus.connected` and `bus.onStatus` tell. Close it when stopping.
 */
export function createBus(options: BusOptions): Bus {
  return createBusOver(connectWithNats, options);
}

/** `Connect` by the `nats` package 2.x. */
export async function connectWithNats(options: WireOptions): Promise<Wire> {
  const nc = await natsConnect(connectionOptions(options));
  const closed = nc.closed().then((error) => (error instanceof Error ? error : undefined));
  return {
    serverVersion: nc.info?.version ?? "unknown",
    maxPayload: nc.info?.max_payload ?? 1_048_576,
    closed,
    newInbox: () => createInbox(options.inboxPrefix),
    publish: (subject, data, { reply, headers } = {}) => {
      nc.publish(subject, data, {
        ...(reply === undefined ? {} : { reply }),
        ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
      });
    },
    subscribe: (subject, { queue, onMessage, onError }) => {
      const subscription = nc.subscribe(subject, {
        ...(queue === undefined ? {} : { queue }),
        callback: (error, message) => {
          if (error === null) onMessage(toWireMessage(message));
          else onError(translate(error, subject, 0));
        },
      });
      return () => subscription.unsubscribe();
    },
    request: async (subject, data, { timeoutMs, headers }) => {
      try {
        const answer = await nc.request(subject, data, {
          timeout: timeoutMs,
          ...(headers === undefined ? {} : { headers: toHeaders(headers) }),
        });
        return toWireMessage(answer);
      } catch (error) {
        throw translate(error, subject, timeoutMs);
      }
    },
    flush: () => nc.flush(),
    close: () => closeQuietly(nc),
  };
}

function connectionOptions(options: WireOptions): ConnectionOptions {
  const { user, password, token, creds, nkeySeed, tls, inboxPrefix } = options;
  return {
    servers: [...options.servers],
    name: options.name,
    timeout: options.timeoutMs,
    reconnect: false,
    // A connection that is dead without a word is noticed within 15 s.
    pingInterval: 5_000,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
    ...(token === undefined ? {} : { token }),
    ...(creds === undefined ? {} : { authenticator: credsAuthenticator(Buffer.from(creds)) }),
    ...(nkeySeed === undefined ? {} : { authenticator: nkeyAuthenticator(Buffer.from(nkeySeed)) }),
    ...(tls === undefined ? {} : { tls }),
    ...(inboxPrefix === undefined ? {} : { inboxPrefix }),
  };
}

function toHeaders(values: Headers): MsgHdrs {
  const headers = newHeaders();
  for (const [name, value] of Object.entries(values)) headers.set(name, value);
  return headers;
}

function toWireMessage(message: Msg): WireMessage {
  return {
    subject: message.subject,
    data: message.data,
    reply: message.reply === "" ? undefined : message.reply,
    status: message.headers?.code ?? 0,
    description: message.headers?.description ?? "",
    header: (name) => {
      const value = message.headers?.get(name);
      return value === "" ? undefined : value;
    },
  };
}

/** What the package calls a connection that is gone. */
const GONE: ReadonlySet<string> = new Set([
  ErrorCode.ConnectionClosed,
  ErrorCode.ConnectionDraining,
  ErrorCode.Disconnect,
  ErrorCode.Cancelled,
]);

const NO_RESPONDERS: string = ErrorCode.NoResponders;
const TIMEOUT: string = ErrorCode.Timeout;

function translate(error: unknown, subject: string, timeoutMs: number): Error {
  if (!(error instanceof Error)) return new Error(String(error));
  if (!(error instanceof NatsError)) return error;
  // 503 means "nobody listens", although the package calls it JetStreamNotEnabled as well.
  if (error.code === NO_RESPONDERS) return new NoResponder(subject);
  if (error.code === TIMEOUT) return new RequestTimeout(subject, timeoutMs);
  if (error.isPermissionError()) return new BusRefused(subject, error.message);
  return GONE.has(error.code) ? new BusUnavailable("disconnected", subject, error) : error;
}

async function closeQuietly(nc: NatsConnection): Promise<void> {
  if (!nc.isClosed()) await nc.close();
}
