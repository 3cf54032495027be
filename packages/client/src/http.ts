import type { Problem } from "@manyline/contracts";
import { ManylineApiError, ManylineUnreachable } from "./errors.ts";

export type HttpOptions = {
  /** Of the gateway, e.g. `https://whatsapp.example.com`. */
  readonly url: string;
  /** A company's token. Never put it into an address. */
  readonly token: string;
  /** For one try; default 30 s. */
  readonly timeoutMs?: number;
  /** How often a request that may be repeated is tried in all; default 5. */
  readonly tries?: number;
  /** Default the global one. */
  readonly fetch?: typeof fetch;
};

export type HttpRequest = {
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly json?: unknown;
  readonly body?: NonNullable<RequestInit["body"]>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Repeating it does no harm. */
  readonly isRepeatable: boolean;
  readonly signal?: AbortSignal | undefined;
  /** No limit of time: a stream. */
  readonly isStream?: boolean;
};

const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 30_000;

/** Requests with a token, repeated where that does no harm and can help. */
export class Http {
  readonly #options: HttpOptions;
  readonly #fetch: typeof fetch;

  constructor(options: HttpOptions) {
    this.#options = options;
    this.#fetch = options.fetch ?? globalThis.fetch;
  }

  /** The answer of a success. Throws ManylineApiError, ManylineUnreachable, or the signal's reason. */
  async send(request: HttpRequest): Promise<Response> {
    const tries = request.isRepeatable ? (this.#options.tries ?? 5) : 1;
    for (let made = 1; ; made += 1) {
      try {
        return await this.#once(request);
      } catch (error) {
        const pauseMs = made < tries ? pauseAfter(error, made) : undefined;
        if (pauseMs === undefined || request.signal?.aborted) throw error;
        await sleep(pauseMs, request.signal);
      }
    }
  }

  async json<T>(request: HttpRequest): Promise<T> {
    const response = await this.send(request);
    try {
      return (await response.json()) as T;
    } catch (cause) {
      throw new ManylineUnreachable("the answer broke off", { cause });
    }
  }

  async #once(request: HttpRequest): Promise<Response> {
    const { timeoutMs = 30_000, token } = this.#options;
    const signals = [
      ...(request.signal ? [request.signal] : []),
      ...(request.isStream ? [] : [AbortSignal.timeout(timeoutMs)]),
    ];
    let response: Response;
    try {
      response = await this.#fetch(this.#address(request), {
        method: request.method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(request.json === undefined ? {} : { "content-type": "application/json" }),
          ...request.headers,
        },
        ...bodyOf(request),
        signal: AbortSignal.any(signals),
        // A token goes to nobody else.
        redirect: "error",
      });
    } catch (cause) {
      request.signal?.throwIfAborted();
      throw new ManylineUnreachable("the gateway cannot be reached", { cause });
    }
    if (response.ok) return response;
    throw new ManylineApiError(response.status, await problemOf(response), retryAfter(response));
  }

  #address({ path, query = {} }: HttpRequest): URL {
    const base = this.#options.url.replace(/\/+$/, "");
    const url = new URL(`${base}${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }
}

function bodyOf({ json, body }: HttpRequest): RequestInit {
  if (json !== undefined) return { body: JSON.stringify(json) };
  if (body === undefined) return {};
  return body instanceof ReadableStream ? { body, duplex: "half" } : { body };
}

async function problemOf(response: Response): Promise<Partial<Problem>> {
  try {
    const value: unknown = await response.json();
    return typeof value === "object" && value !== null ? value : {};
  } catch {
    return {};
  }
}

function retryAfter(response: Response): number | undefined {
  const text = response.headers.get("retry-after");
  return text !== null && /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

/** How long to wait before the next try; undefined when it cannot help. */
function pauseAfter(error: unknown, made: number): number | undefined {
  if (error instanceof ManylineApiError) {
    const { status, retry, retryAfterSeconds } = error;
    const isPassing = status === 429 || (status >= 500 && retry !== "never");
    if (!isPassing) return undefined;
    if (retryAfterSeconds !== undefined) {
      const pauseMs = retryAfterSeconds * 1_000;
      return pauseMs <= LONGEST_PAUSE_MS ? pauseMs : undefined;
    }
  } else if (!(error instanceof ManylineUnreachable)) return undefined;
  return backoff(made);
}

/** 250 ms, 500 ms, … up to 30 s, each between half and the whole of it. */
export function backoff(made: number): number {
  const most = Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (made - 1));
  return most * (0.5 + Math.random() / 2);
}

/** Rejects with the signal's reason when aborted. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const onAbort = (): void => {
    clearTimeout(timer);
    reject(asError(signal?.reason));
  };
  const timer = setTimeout(() => {
    signal?.removeEventListener("abort", onAbort);
    resolve();
  }, ms);
  if (signal?.aborted) onAbort();
  else signal?.addEventListener("abort", onAbort, { once: true });
  return promise;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error("aborted");
}
