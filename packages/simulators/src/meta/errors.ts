/** Errors as the Graph API writes them. */

export type GraphErrorInput = {
  code: number;
  /** Default 400. */
  httpStatus?: number;
  message?: string;
  details?: string;
  subcode?: number;
  /** Seconds; with it goes the header. */
  retryAfter?: number;
};

const MESSAGES: Readonly<Record<number, string>> = {
  4: "(#4) Application request limit reached",
  10: "(#10) Application does not have permission for this action",
  33: "Object with this id does not exist",
  100: "(#100) Invalid parameter",
  190: "Invalid OAuth access token",
  200: "(#200) You do not have the necessary permissions to send messages on behalf of this WhatsApp Business Account",
  80007: "(#80007) There have been too many calls to this WhatsApp Business account",
  130429: "(#130429) Rate limit hit",
  131000: "(#131000) Something went wrong",
  131008: "(#131008) Required parameter is missing",
  131009: "(#131009) Parameter value is not valid",
  131016: "(#131016) Service temporarily unavailable",
  131021: "(#131021) Recipient cannot be sender",
  131026: "(#131026) Message undeliverable",
  131047: "(#131047) Re-engagement message",
  131048: "(#131048) Spam rate limit hit",
  131051: "(#131051) Unsupported message type",
  131056: "(#131056) (Business Account, Consumer Account) pair rate limit hit",
  131057: "(#131057) Business account is in maintenance mode",
  131062: "(#131062) Business-scoped user id is not allowed for this message",
  132000: "(#132000) Number of parameters does not match the expected number of params",
  132001: "(#132001) Template name does not exist in the translation",
  133010: "(#133010) Account not registered",
};

/** The title of a code, as errors in statuses have it. */
export function titleOf(code: number): string {
  return (MESSAGES[code] ?? "Unknown error").replace(/^\(#\d+\) /, "");
}

export class GraphError extends Error {
  readonly code: number;
  readonly httpStatus: number;
  readonly details: string | undefined;
  readonly subcode: number | undefined;
  readonly retryAfter: number | undefined;

  constructor({ code, httpStatus = 400, message, details, subcode, retryAfter }: GraphErrorInput) {
    super(message ?? MESSAGES[code] ?? `(#${code}) Unknown error`);
    this.code = code;
    this.httpStatus = httpStatus;
    this.details = details;
    this.subcode = subcode;
    this.retryAfter = retryAfter;
  }

  body(traceId: string): object {
    const data = { messaging_product: "whatsapp", details: this.details };
    return {
      error: {
        message: this.message,
        type: "OAuthException",
        code: this.code,
        ...(this.subcode === undefined ? {} : { error_subcode: this.subcode }),
        ...(this.details === undefined ? {} : { error_data: data }),
        fbtrace_id: traceId,
      },
    };
  }
}
