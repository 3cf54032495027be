import { ERRORS, ManylineError } from "@manyline/contracts";
import type { ErrorCode, Problem } from "@manyline/contracts";
import { isUnavailable } from "@manyline/db";

/** A field that broke a rule; `field` is a JSON pointer without its first slash, with dots. */
export type FieldError = { readonly field: string; readonly message: string };

/** Thrown by the validator and by routes for rules that no schema can say. */
export function invalidRequest(...errors: FieldError[]): ManylineError {
  return new ManylineError("INVALID_REQUEST", { errors });
}

/** Nobody has the number's shard. Of a paused one nobody can say for how long. */
export function noOwner(isPaused: boolean): ManylineError {
  if (!isPaused) return new ManylineError("NO_OWNER");
  const detail = "An operator has paused the shard of this number.";
  return new ManylineError("NO_OWNER", { detail, isPaused, retryAfterSeconds: null });
}

/** What a problem answer needs beside its body. */
export type ProblemAnswer = {
  readonly status: number;
  readonly body: Problem;
  readonly retryAfterSeconds: number | undefined;
};

/** Facts that steer the answer or repeat it; everything else goes into the body. */
const OWN_FIELDS = new Set([
  "detail",
  "retryAfterSeconds",
  "type",
  "title",
  "status",
  "code",
  "success",
]);
const RETRY_AFTER_SECONDS = 5;
/** Of the 5xx, those whose facts are our own words for the caller. */
const SHOWN: ReadonlySet<ErrorCode> = new Set([
  "NO_OWNER",
  "META_REFUSED",
  "PROVIDER_NOT_SUPPORTED",
]);

/**
 * The one translation of an error into an answer. A 5xx that is not in `SHOWN` shows its title only, never its message
 * or facts; a 503 or 429 comes with Retry-After, unless its facts say null: nobody knows.
 */
export function toProblem(error: unknown, requestId: string): ProblemAnswer {
  const known = asManylineError(error);
  const { status, title, remedy, retry } = ERRORS[known.code];
  const isShown = status < 500 || SHOWN.has(known.code);
  const { detail, retryAfterSeconds } = known.facts;
  const usual = status === 503 || status === 429 ? RETRY_AFTER_SECONDS : undefined;
  const facts = Object.entries(known.facts).filter(([name]) => !OWN_FIELDS.has(name));
  return {
    status,
    retryAfterSeconds: retryAfterSeconds === undefined ? usual : (retryAfterSeconds ?? undefined),
    body: {
      ...(isShown ? Object.fromEntries(facts) : {}),
      type: `urn:manyline:problem:${known.code}`,
      title,
      status,
      ...(isShown && detail !== undefined ? { detail } : {}),
      code: known.code,
      success: false,
      error: isShown && detail !== undefined ? detail : title,
      remedy,
      retry,
      requestId,
    },
  };
}

/** The code of any error: our own, the web framework's, a database that cannot be asked, or INTERNAL. */
export function asManylineError(error: unknown): ManylineError {
  if (error instanceof ManylineError) return error;
  if (isUnavailable(error)) return new ManylineError("UNAVAILABLE", {}, { cause: error });
  const framework = frameworkError(error);
  if (framework) return framework;
  return new ManylineError("INTERNAL", {}, { cause: error });
}

const FRAMEWORK_CODES: Readonly<Record<string, ErrorCode>> = {
  FST_ERR_CTP_BODY_TOO_LARGE: "PAYLOAD_TOO_LARGE",
  FST_ERR_CTP_INVALID_MEDIA_TYPE: "UNSUPPORTED_MEDIA_TYPE",
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: "INVALID_REQUEST",
  FST_ERR_CTP_INVALID_JSON_BODY: "INVALID_REQUEST",
  FST_ERR_CTP_EMPTY_JSON_BODY: "INVALID_REQUEST",
  FST_ERR_BAD_URL: "INVALID_REQUEST",
  FST_ERR_ASYNC_CONSTRAINT: "NOT_FOUND",
  FST_ERR_MAX_PARAM_LENGTH: "NOT_FOUND",
  // A NUL character: no text that Postgres can hold, so nothing is there under that name either.
  "22021": "INVALID_REQUEST",
};

/** Where no field can be named. */
const DETAILS: Readonly<Record<string, string>> = {
  FST_ERR_CTP_INVALID_JSON_BODY: "The body is not valid JSON.",
  FST_ERR_CTP_EMPTY_JSON_BODY: "The body is empty.",
};

function frameworkError(error: unknown): ManylineError | undefined {
  if (!(error instanceof Error)) return undefined;
  const code = "code" in error && typeof error.code === "string" ? error.code : "";
  const known = FRAMEWORK_CODES[code];
  if (known) {
    const detail = DETAILS[code];
    return new ManylineError(known, detail === undefined ? {} : { detail }, { cause: error });
  }
  const status = "statusCode" in error ? error.statusCode : undefined;
  if (typeof status !== "number" || status >= 500 || status < 400) return undefined;
  if (status === 413) return new ManylineError("PAYLOAD_TOO_LARGE", {}, { cause: error });
  if (status === 404) return new ManylineError("NOT_FOUND", {}, { cause: error });
  return new ManylineError("INVALID_REQUEST", {}, { cause: error });
}
