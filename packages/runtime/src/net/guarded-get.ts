import type { LookupAddress } from "node:dns";
import http from "node:http";
import https from "node:https";
import { isIP } from "node:net";
import type { LookupFunction } from "node:net";
import type { AddressGuard } from "./address-guard.ts";
import { addressesOf } from "./addresses-of.ts";
import { keptFor, type KeptConnections } from "./kept-connections.ts";

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
  /** Without it the request has a connection of its own. */
  readonly kept?: Kept | undefined;
};

/** Connections that are kept, and whose: what one party's server left on a connection no other party shall read. */
export type Kept = { readonly connections: KeptConnections; readonly party: string };

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

/** One request to addresses that were judged just now. Rejects with FetchRefused. */
export async function guardedRequest(
  url: URL,
  guard: AddressGuard,
  signal: AbortSignal,
  { method, headers, body, kept }: GuardedSend,
): Promise<http.IncomingMessage> {
  const judged = await judgedAddresses(url.hostname.replace(/^\[(.*)\]$/, "$1"), guard, signal);
  const { promise, resolve: found, reject } = Promise.withResolvers<http.IncomingMessage>();
  const isTls = url.protocol === "https:";
  const { request } = isTls ? https : http;
  const refuse = (cause: unknown): void => reject(refusalOf(cause, signal));
  let isAnswered = false;
  try {
    const sent = request(
      url,
      {
        // One that was opened to other addresses was not judged: its agent keeps those apart.
        agent: kept?.connections.agentFor(isTls) ?? false,
        ...(kept ? { keptFor: keptFor(kept.party, judged) } : {}),
        lookup: onlyTo(judged),
        signal,
        method,
        headers: {
          "user-agent": "manyline",
          ...headers,
          ...(body ? { "content-length": body.byteLength } : {}),
          "accept-encoding": "identity",
        },
      },
      (answer) => {
        isAnswered = true;
        found(answer);
      },
    )
      .on("error", (error) => {
        const isStale = kept !== undefined && sent.reusedSocket && !isAnswered && isBroken(error);
        if (!isStale || signal.aborted) refuse(error);
        // It was closed while it lay idle, which says nothing of the server: once more, by a connection of its own.
        else found(guardedRequest(url, guard, signal, { method, headers, ...(body && { body }) }));
      })
      // Whoever answers with another protocol (101) ends neither in an answer nor in an error.
      .on("close", () => {
        if (!isAnswered && !sent.errored) refuse(new Error("closed without an answer"));
      })
      .end(body);
  } catch (error) {
    refuse(error);
  }
  return promise;
}

function isBroken(error: Error): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === "ECONNRESET" || code === "EPIPE";
}

function refusalOf(cause: unknown, signal: AbortSignal): FetchRefused {
  if (cause instanceof FetchRefused) return cause;
  return new FetchRefused(signal.aborted ? "timeout" : "unreachable", { cause });
}

/** All addresses of a name, if all are allowed: with one that is not, which is taken is chance. */
async function judgedAddresses(
  host: string,
  guard: AddressGuard,
  signal: AbortSignal,
): Promise<LookupAddress[]> {
  const version = isIP(host);
  if (version !== 0) {
    if (!guard.allows(host)) throw new FetchRefused("address");
    return [{ address: host, family: version }];
  }
  const addresses = await addressesOf(host, signal).catch((error: unknown) => {
    throw refusalOf(error, signal);
  });
  if (addresses.length === 0 || addresses.some(({ address }) => !guard.allows(address))) {
    throw new FetchRefused("address");
  }
  return addresses;
}

function onlyTo(judged: readonly LookupAddress[]): LookupFunction {
  return (_name, options, callback) => {
    const [first] = judged;
    if (options.all) callback(null, [...judged]);
    else callback(null, first?.address ?? "", first?.family);
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
