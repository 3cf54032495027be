/**
 * JetStream's JSON API over plain requests, only calls and fields that nats-server 2.9 knows.
 * Spoken directly because the two client libraries differ in their errors, print to the console and
 * pass on options that older servers drop without a word.
 */
import {
  BusRefused,
  BusUnavailable,
  NoResponder,
  RequestTimeout,
  StreamMissing,
} from "./errors.ts";
import type { StartAt } from "./types.ts";
import type { Wire } from "./wire.ts";

const API = "$JS.API";
const NO_PAYLOAD = new Uint8Array();
const API_TIMEOUT_MS = 2_000;

/** Numbers from the server's table of API errors. */
const STREAM_NOT_FOUND = 10_059;
const CONSUMER_NOT_FOUND = 10_014;
export const STREAM_NAME_IN_USE = 10_058;

/** Durations are nanoseconds here. Unknown fields of newer servers are carried along. */
export type StreamConfig = {
  name: string;
  subjects: string[];
  retention: string;
  storage: string;
  discard: string;
  max_age: number;
  max_bytes: number;
  max_msgs: number;
  max_msg_size: number;
  max_consumers: number;
  num_replicas: number;
  duplicate_window: number;
  description?: string;
};

export type StreamInfo = {
  created: string;
  config: StreamConfig;
  state: { messages: number; bytes: number; first_seq: number; last_seq: number };
};

export type ConsumerConfig = {
  name?: string;
  durable_name?: string;
  ack_policy: "explicit" | "none";
  ack_wait?: number;
  deliver_policy: "all" | "new" | "by_start_sequence" | "by_start_time";
  opt_start_seq?: number;
  opt_start_time?: string;
  filter_subject?: string;
  replay_policy: "instant";
  max_ack_pending?: number;
  max_deliver?: number;
  inactive_threshold?: number;
  mem_storage?: boolean;
  num_replicas?: number;
};

export type ConsumerInfo = { name: string; stream_name: string; config: ConsumerConfig };

type ApiError = { code: number; err_code?: number; description: string };

export function streamInfo(wire: Wire, name: string): Promise<StreamInfo | undefined> {
  return optional(call<StreamInfo>(wire, `STREAM.INFO.${name}`), STREAM_NOT_FOUND);
}

export function createStream(wire: Wire, config: StreamConfig): Promise<StreamInfo> {
  return call<StreamInfo>(wire, `STREAM.CREATE.${config.name}`, config);
}

/** Changes what may be changed of a stream; `config` is all of it. */
export function updateStream(wire: Wire, config: StreamConfig): Promise<StreamInfo> {
  return call<StreamInfo>(wire, `STREAM.UPDATE.${config.name}`, config);
}

export function consumerInfo(
  wire: Wire,
  stream: string,
  name: string,
): Promise<ConsumerInfo | undefined> {
  return optional(call<ConsumerInfo>(wire, `CONSUMER.INFO.${stream}.${name}`), CONSUMER_NOT_FOUND);
}

/** Creates a consumer, or changes what may be changed of one that exists. */
export function putConsumer(
  wire: Wire,
  stream: string,
  name: string,
  config: ConsumerConfig,
): Promise<ConsumerInfo> {
  const filter = config.filter_subject === undefined ? "" : `.${config.filter_subject}`;
  return call<ConsumerInfo>(wire, `CONSUMER.CREATE.${stream}.${name}${filter}`, {
    stream_name: stream,
    config,
  });
}

export async function deleteConsumer(wire: Wire, stream: string, name: string): Promise<void> {
  await optional(call(wire, `CONSUMER.DELETE.${stream}.${name}`), CONSUMER_NOT_FOUND);
}

/** Asks for up to `batch` messages, delivered to `inbox` until `expiresMs` have passed. */
export function requestMessages(
  wire: Wire,
  pull: {
    stream: string;
    consumer: string;
    inbox: string;
    batch: number;
    expiresMs: number;
    heartbeatMs: number;
  },
): void {
  wire.publish(
    `${API}.CONSUMER.MSG.NEXT.${pull.stream}.${pull.consumer}`,
    Buffer.from(
      JSON.stringify({
        batch: pull.batch,
        expires: nanoseconds(pull.expiresMs),
        idle_heartbeat: nanoseconds(pull.heartbeatMs),
      }),
    ),
    { reply: pull.inbox },
  );
}

/** The server's words for where to begin. */
export function startConfig(
  startAt: StartAt,
): Pick<ConsumerConfig, "deliver_policy" | "opt_start_seq" | "opt_start_time"> {
  if (startAt === "all" || startAt === "new") return { deliver_policy: startAt };
  if ("seq" in startAt) return { deliver_policy: "by_start_sequence", opt_start_seq: startAt.seq };
  return { deliver_policy: "by_start_time", opt_start_time: startAt.time.toISOString() };
}

export function nanoseconds(ms: number): number {
  return Math.round(ms * 1_000_000);
}

/** An API answer or a publish acknowledgement, or the error in it. */
// oxlint-disable-next-line typescript/no-unnecessary-type-parameters -- names the shape that the server documents
export function parseAnswer<T>(what: string, data: Uint8Array): T {
  const answer = JSON.parse(Buffer.from(data).toString("utf8")) as T & { error?: ApiError };
  if (answer.error === undefined) return answer;
  const { code, err_code: apiCode = 0, description } = answer.error;
  if (apiCode === STREAM_NOT_FOUND) throw new StreamMissing(what.split(".").at(2) ?? what);
  // 5xx: no leader, no space, starting up; all of these can pass.
  throw new BusRefused(what, description, apiCode, code >= 500 ? "later" : "never");
}

async function call<T>(wire: Wire, api: string, body?: unknown): Promise<T> {
  const payload = body === undefined ? NO_PAYLOAD : Buffer.from(JSON.stringify(body));
  try {
    const answer = await wire.request(`${API}.${api}`, payload, { timeoutMs: API_TIMEOUT_MS });
    return parseAnswer<T>(api, answer.data);
  } catch (error) {
    if (error instanceof NoResponder) throw new BusUnavailable("no-jetstream", api, error);
    if (error instanceof RequestTimeout) throw new BusUnavailable("timeout", api, error);
    throw error;
  }
}

async function optional<T>(promise: Promise<T>, notFound: number): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    if (notFound === STREAM_NOT_FOUND && error instanceof StreamMissing) return undefined;
    if (error instanceof BusRefused && error.apiCode === notFound) return undefined;
    throw error;
  }
}
