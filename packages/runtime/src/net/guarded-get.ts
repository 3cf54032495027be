import { lookup as resolve } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import type { LookupFunction } from "node:net";
import type { AddressGuard } from "./address-guard.ts";

/**
 * `bad_url`: it cannot be fetched by anybody. `address`: the guard refuses where it leads. `unreachable`: no
 * name, no connection, or broken off. `timeout`. `redirects`: too many, or to nowhere. `status`: the server
 * answered something else than 200. `encoding`: it sent the file compressed, though nobody asked it to.
 * `too_large`: its answer is longer than was asked for.
 */
export type FetchRefusal =
  | "bad_url"
  | "address"
  | "unreachable"
  | "timeout"
  | "redirects"
  | "status"
  | "encoding"
  | "too_large";

/** Why a customer's URL gave nothing. The message holds neither the URL nor an address. */
export class FetchRefused extends Error {
  override readonly name = "FetchRefused";
  readonly reason: FetchRefusal;
  /** What the server answered, for `status`. */
  readonly status: number | undefined;

  constructor(reason: FetchRefusal, options: { cause?: unknown; status?: number } = {}) {
    super(`a URL was not fetched: ${reason}`, { cause: options.cause });
    this.reason = reason;
    this.status = options.status;
  }
}

export type GuardedOptions = {
  readonly guard: AddressGuard;
  /** For everything, redirects and the body included. */
  readonly timeoutMs: number;
  /** Default 3. */
  readonly maxRedirects?: number;
};

export type GuardedAnswer = {
  readonly contentType: string | undefined;
  /** What the server says; the body may differ. */
  readonly contentLength: number | undefined;
  /** Read it or `destroy()` it. Breaks off with FetchRefused `timeout`. */
  readonly body: http.IncomingMessage;
};

/** What goes along with a request. */
export type GuardedSend = {
  readonly method: "GET" | "POST";
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
};

const GET: GuardedSend = { method: "GET", headers: { accept: "*/*" } };
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

/**
 * GETs a customer's URL, if every address that its name stands for is allowed. The connection goes to the
 * addresses that were judged, so a name that changes in between gains nothing; each redirect is judged anew.
 * No proxy is used, and nothing of ours is sent along.
 * @throws FetchRefused
 */
export async function guardedGet(url: string, options: GuardedOptions): Promise<GuardedAnswer> {
  const timeout = AbortSignal.timeout(options.timeoutMs);
  let target = parseGuarded(url);
  for (let left = options.maxRedirects ?? 3; ; left -= 1) {
    const answer = await guardedRequest(target, options.guard, timeout, GET);
    const { statusCode = 0, headers } = answer;
    const isPlain = /^(identity)?$/i.test(headers["content-encoding"]?.trim() ?? "");
    if (statusCode === 200 && isPlain) return bodyOf(answer, timeout);
    answer.destroy();
    // What it unpacks to nobody can tell beforehand.
    if (statusCode === 200) throw new FetchRefused("encoding");
    if (!REDIRECTS.has(statusCode)) throw new FetchRefused("status", { status: statusCode });
    if (left <= 0 || headers.location === undefined) throw new FetchRefused("redirects");
    target = parseGuarded(headers.location, target);
  }
}

/** Throws FetchRefused `bad_url`. */
export function parseGuarded(text: string, base?: URL): URL {
  const url = URL.parse(text, base?.href);
  const isUsable =
    url !== null &&
    (url.protocol === "http:" || url.protocol === "https:") &&
    url.hostname !== "" &&
    url.username === "" &&
    url.password === "";
  if (!isUsable) throw new FetchRefused("bad_url");
  return url;
}

/** One request to addresses that were judged. Rejects with FetchRefused. */
export function guardedRequest(
  url: URL,
  guard: AddressGuard,
  signal: AbortSignal,
  { method, headers, body }: GuardedSend,
): Promise<http.IncomingMessage> {
  const host = url.hostname.replace(/^\[(.*)\]$/, "$1");
  // Names are judged by `lookup`; it is not asked for an address.
  if (isIP(host) !== 0 && !guard.allows(host)) return Promise.reject(new FetchRefused("address"));
  const { promise, resolve: found, reject } = Promise.withResolvers<http.IncomingMessage>();
  const { request } = url.protocol === "https:" ? https : http;
  const refuse = (cause: unknown): void => reject(refusalOf(cause, signal));
  try {
    request(
      url,
      {
        // A connection of its own: one that somebody else opened was not judged.
        agent: false,
        lookup: guardedLookup(guard),
        signal,
        method,
        headers: {
          "user-agent": "manyline",
          ...headers,
          ...(body ? { "content-length": body.byteLength } : {}),
          "accept-encoding": "identity",
        },
      },
      found,
    )
      .on("error", refuse)
      // Whoever answers with another protocol (101) ends neither in an answer nor in an error.
      .on("close", () => refuse(new Error("closed without an answer")))
      .end(body);
  } catch (error) {
    refuse(error);
  }
  return promise;
}

function refusalOf(cause: unknown, signal: AbortSignal): FetchRefused {
  if (cause instanceof FetchRefused) return cause;
  return new FetchRefused(signal.aborted ? "timeout" : "unreachable", { cause });
}

/** All addresses of a name, if all are allowed: with one that is not, which is taken is chance. */
function guardedLookup(guard: AddressGuard): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname, { ...options, all: true }, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error) callback(error, "");
      else if (!first || addresses.some(({ address }) => !guard.allows(address))) {
        callback(new FetchRefused("address"), "");
      } else if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });
  };
}

function bodyOf(answer: http.IncomingMessage, timeout: AbortSignal): GuardedAnswer {
  const onTimeout = (): void => {
    answer.destroy(new FetchRefused("timeout"));
  };
  timeout.addEventListener("abort", onTimeout, { once: true });
  answer.once("close", () => timeout.removeEventListener("abort", onTimeout));
  const length = answer.headers["content-length"];
  return {
    contentType: answer.headers["content-type"],
    contentLength: length !== undefined && /^\d+$/.test(length) ? Number(length) : undefined,
    body: answer,
  };
}
