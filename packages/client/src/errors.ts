import type { Problem } from "@manyline/contracts";

/** What the gateway refused, by its stable code (docs/errors.md). */
export class ManylineApiError extends Error {
  override readonly name = "ManylineApiError";
  readonly status: number;
  /** E.g. `INVALID_RECIPIENT`; `UNKNOWN` when the answer was not the gateway's. */
  readonly code: string;
  /** Whether repeating the same request can help. */
  readonly retry: "now" | "later" | "never";
  readonly retryAfterSeconds: number | undefined;
  /** Names the request in the gateway's log. */
  readonly requestId: string | undefined;
  /** Everything else the answer says, e.g. `errors` (fields), `reason`, `messageId`. */
  readonly facts: Readonly<Record<string, unknown>>;

  constructor(status: number, problem: Partial<Problem>, retryAfterSeconds: number | undefined) {
    super(problem.detail ?? problem.title ?? `the gateway answered ${status}`);
    this.status = status;
    this.code = problem.code ?? "UNKNOWN";
    this.retry = problem.retry ?? (status >= 500 ? "later" : "never");
    this.retryAfterSeconds = retryAfterSeconds;
    this.requestId = problem.requestId;
    this.facts = problem;
  }
}

/** The gateway could not be reached, or broke off. Whether it has done anything is not known. */
export class ManylineUnreachable extends Error {
  override readonly name = "ManylineUnreachable";
  readonly retry = "later";
}
