/**
 * What can go wrong between this process and NATS. Every error has a stable `code` and says what to
 * do about it in `retry`: `now` (try again at once), `later` (wait, then try again), `never` (the
 * same call will fail the same way).
 */
export type Retry = "now" | "later" | "never";

export abstract class BusError extends Error {
  abstract readonly code: string;
  abstract readonly retry: Retry;
}

/**
 * NATS or its JetStream cannot be reached, or did not answer in time; then whether a message was
 * stored is unknown, and publishing it again with the same `msgId` is safe.
 */
export class BusUnavailable extends BusError {
  override name = "BusUnavailable";
  readonly code = "BUS_UNAVAILABLE";
  readonly retry = "later";
  readonly reason: "disconnected" | "timeout" | "no-jetstream";

  constructor(reason: BusUnavailable["reason"], what: string, cause?: unknown) {
    super(`${what}: ${REASONS[reason]}`, cause === undefined ? undefined : { cause });
    this.reason = reason;
  }
}

const REASONS = {
  disconnected: "there is no connection to NATS",
  timeout: "NATS did not answer in time",
  "no-jetstream": "JetStream does not answer on this server or account",
} as const;

/** The bus was closed by this process. */
export class BusClosed extends BusError {
  override name = "BusClosed";
  readonly code = "BUS_CLOSED";
  readonly retry = "never";

  constructor() {
    super("the bus is closed");
  }
}

/** No subscriber took the request, or no stream takes this subject. */
export class NoResponder extends BusError {
  override name = "NoResponder";
  readonly code = "BUS_NO_RESPONDER";
  readonly retry = "later";
  readonly subject: string;

  constructor(subject: string) {
    super(`nobody listens on ${subject}`);
    this.subject = subject;
  }
}

/** The one asked did not answer in time; it may still have acted. */
export class RequestTimeout extends BusError {
  override name = "RequestTimeout";
  readonly code = "BUS_REQUEST_TIMEOUT";
  readonly retry = "later";
  readonly subject: string;

  constructor(subject: string, timeoutMs: number) {
    super(`no answer on ${subject} within ${timeoutMs} ms`);
    this.subject = subject;
  }
}

/** The stream does not exist (its store was deleted); it comes back with the next ensureStream. */
export class StreamMissing extends BusError {
  override name = "StreamMissing";
  readonly code = "BUS_STREAM_MISSING";
  readonly retry = "later";
  readonly stream: string;

  constructor(stream: string) {
    super(`the stream ${stream} does not exist`);
    this.stream = stream;
  }
}

/** The stream exists with another configuration. `differences` names each field, both values. */
export class StreamMismatch extends BusError {
  override name = "StreamMismatch";
  readonly code = "BUS_STREAM_MISMATCH";
  readonly retry = "never";
  readonly stream: string;
  readonly differences: readonly string[];

  constructor(stream: string, differences: readonly string[]) {
    super(`the stream ${stream} is configured otherwise: ${differences.join("; ")}`);
    this.stream = stream;
    this.differences = differences;
  }
}

/** The message is larger than the server takes. */
export class PayloadTooLarge extends BusError {
  override name = "PayloadTooLarge";
  readonly code = "BUS_PAYLOAD_TOO_LARGE";
  readonly retry = "never";

  constructor(subject: string, bytes: number, maxBytes: number) {
    super(`a message of ${bytes} bytes for ${subject} is above the limit of ${maxBytes}`);
  }
}

/**
 * The server refused. `apiCode` is JetStream's own number for the reason (its `err_code`), 0 when a
 * permission is missing. Refusals for want of space or a leader pass; the rest do not.
 */
export class BusRefused extends BusError {
  override name = "BusRefused";
  readonly code = "BUS_REFUSED";
  readonly retry: Retry;
  readonly apiCode: number;

  constructor(what: string, description: string, apiCode = 0, retry: Retry = "never") {
    super(`${what}: ${description}`);
    this.apiCode = apiCode;
    this.retry = retry;
  }
}
