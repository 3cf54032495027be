/**
 * The same port on the `@nats-io` 3.x client: proof that the client can be exchanged. It lives with
 * the tests, so that production has one client only.
 */
import { connect, createInbox, errors, headers as newHeaders } from "@nats-io/transport-node";
import type { Msg, MsgHdrs, NodeConnectionOptions } from "@nats-io/transport-node";
import { BusRefused, BusUnavailable, NoResponder, RequestTimeout } from "../src/bus/errors.ts";
import type { Headers } from "../src/bus/types.ts";
import type { Wire, WireMessage, WireOptions } from "../src/bus/wire.ts";

/** `Connect` by `@nats-io/transport-node`. Takes a user and password, all that the tests need. */
export async function connectWithV3(options: WireOptions): Promise<Wire> {
  const nc = await connect(connectionOptions(options));
  return {
    serverVersion: nc.info?.version ?? "unknown",
    maxPayload: nc.info?.max_payload ?? 1_048_576,
    closed: nc.closed().then((error) => (error instanceof Error ? error : undefined)),
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
    close: async () => {
      if (!nc.isClosed()) await nc.close();
    },
  };
}

function connectionOptions(options: WireOptions): NodeConnectionOptions {
  const { user, password, inboxPrefix } = options;
  return {
    servers: [...options.servers],
    name: options.name,
    timeout: options.timeoutMs,
    reconnect: false,
    pingInterval: 5_000,
    maxPingOut: 2,
    noAsyncTraces: true,
    ...(user === undefined ? {} : { user }),
    ...(password === undefined ? {} : { pass: password }),
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

/** This client wraps some errors in a RequestError; what counts is the innermost. */
function translate(thrown: unknown, subject: string, timeoutMs: number): Error {
  if (!(thrown instanceof Error)) return new Error(String(thrown));
  const error = thrown.cause instanceof Error ? thrown.cause : thrown;
  if (error instanceof errors.NoRespondersError) return new NoResponder(subject);
  if (error instanceof errors.TimeoutError) return new RequestTimeout(subject, timeoutMs);
  if (error instanceof errors.PermissionViolationError) {
    return new BusRefused(subject, error.message);
  }
  const isGone =
    error instanceof errors.ClosedConnectionError ||
    error instanceof errors.DrainingConnectionError ||
    error instanceof errors.RequestError;
  return isGone ? new BusUnavailable("disconnected", subject, error) : error;
}
