/** What can come of a call of the WPP Platform besides an answer. */

/**
 * unreachable: nobody there, or no answer in time · gateway_timeout: the proxy in front gave up, the platform may go on ·
 * busy: too many calls · key_not_active: a new key is not taken (yet) · key_reused: the platform gave a key that is
 * another number's · key_invalid: a key that was good is not any more · unauthorised: the application's secret, or a
 * fresh token, is refused · not_found · refused: any other no, also one within a 200 · unreadable: the answer lacks
 * what it must have
 */
export type WppErrorKind =
  | "unreachable"
  | "gateway_timeout"
  | "busy"
  | "key_not_active"
  | "key_reused"
  | "key_invalid"
  | "unauthorised"
  | "not_found"
  | "refused"
  | "unreadable";

export class WppError extends Error {
  override name = "WppError";
  readonly kind: WppErrorKind;
  /** Undefined: there was no answer. */
  readonly httpStatus: number | undefined;
  /** The platform may have done what it was asked. */
  readonly mayHaveLeft: boolean;
  readonly retryAfterMs: number | undefined;

  constructor(
    kind: WppErrorKind,
    message: string,
    more: {
      httpStatus?: number;
      mayHaveLeft?: boolean;
      retryAfterMs?: number | undefined;
      cause?: unknown;
    } = {},
  ) {
    super(message, more.cause === undefined ? {} : { cause: more.cause });
    this.kind = kind;
    this.httpStatus = more.httpStatus;
    this.mayHaveLeft = more.mayHaveLeft ?? false;
    this.retryAfterMs = more.retryAfterMs;
  }
}

/** What an HTTP status says. The body goes into no error: it may repeat what was sent. */
export function errorOfStatus(
  call: string,
  httpStatus: number,
  retryAfter: string | null,
): WppError {
  const message = `the WPP Platform answered ${httpStatus} to ${call}`;
  const seconds = Number(retryAfter);
  const retryAfterMs = retryAfter !== null && seconds > 0 ? seconds * 1_000 : undefined;
  const error = (kind: WppErrorKind, mayHaveLeft = false): WppError =>
    new WppError(kind, message, { httpStatus, mayHaveLeft, retryAfterMs });
  if (httpStatus === 401 || httpStatus === 403) return error("unauthorised");
  if (httpStatus === 404) return error("not_found");
  if (httpStatus === 429) return error("busy");
  if (httpStatus === 504 || httpStatus === 408) return error("gateway_timeout", true);
  return httpStatus >= 500 ? error("unreachable", true) : error("refused");
}

/** Nothing can have been sent where no connection came about. */
const BEFORE_SENDING = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "UND_ERR_CONNECT_TIMEOUT",
]);

export function errorOfSilence(call: string, cause: unknown): WppError {
  const code: unknown = Object(Object(cause)["cause"])["code"];
  const mayHaveLeft = !(typeof code === "string" && BEFORE_SENDING.has(code));
  return new WppError("unreachable", `no answer of the WPP Platform to ${call}`, {
    cause,
    mayHaveLeft,
  });
}
