/** Calls of Meta's Graph API, each with the token it is given and no other. */
import { createHmac } from "node:crypto";

export type GraphFigures = {
  /** Default https://graph.facebook.com; without a slash at the end. */
  url: string;
  /** e.g. `v26.0` */
  version: string;
  timeoutMs: number;
};

/** Meta has answered, and said no. */
export class GraphRefusal extends Error {
  override name = "GraphRefusal";
  readonly code: number;
  readonly subcode?: number;
  readonly httpStatus: number;
  /** So long Meta asks to wait; undefined: it does not say. */
  readonly retryAfterMs: number | undefined;

  constructor(httpStatus: number, body: unknown, retryAfter: string | null) {
    const error = Object(Object(body)["error"]) as Record<string, unknown>;
    const [code, subcode] = [Number(error["code"]), Number(error["error_subcode"])];
    // Meta's own words may repeat what was sent: they go into no log.
    super(`Graph API error ${Number.isFinite(code) ? code : "without a code"} (${httpStatus})`);
    this.httpStatus = httpStatus;
    this.code = Number.isFinite(code) ? code : -1;
    if (Number.isFinite(subcode)) this.subcode = subcode;
    this.retryAfterMs = retryAfter === null ? undefined : waitMs(retryAfter);
  }
}

/** Seconds, or a date. */
function waitMs(retryAfter: string): number | undefined {
  const seconds = Number(retryAfter);
  const ms = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1_000;
  return ms > 0 ? ms : undefined;
}

/** There was no answer: nobody knows whether Meta has done it. */
export class GraphSilence extends Error {
  override name = "GraphSilence";
}

/** Sent along as it is read; `bytes`: its length, if that is known. */
export type GraphStream = {
  contentType: string;
  bytes: number | undefined;
  chunks: AsyncIterable<Uint8Array>;
};
export type GraphBody =
  | { json: object }
  | { form: FormData | URLSearchParams }
  | { stream: GraphStream };

/** `appSecret`: Meta is shown that who calls knows the secret of the token's app. */
export type GraphAccess = { token: string; appSecret?: string | undefined };

export class Graph {
  readonly #figures: GraphFigures;

  constructor(figures: GraphFigures) {
    this.#figures = figures;
  }

  get origin(): string {
    return new URL(this.#figures.url).origin;
  }

  /** Throws GraphRefusal or GraphSilence. */
  async call(
    method: "GET" | "POST",
    path: string,
    access: string | GraphAccess,
    body?: GraphBody,
    timeoutMs = this.#figures.timeoutMs,
  ): Promise<Record<string, unknown>> {
    const { url, version } = this.#figures;
    const { token, appSecret }: GraphAccess =
      typeof access === "string" ? { token: access } : access;
    let answer: Response;
    let value: unknown;
    try {
      answer = await fetch(`${url}/${version}/${proved(path, token, appSecret)}`, {
        method,
        redirect: "error",
        headers: { authorization: `Bearer ${token}`, ...headersOf(body) },
        ...(body ? contentOf(body) : {}),
        signal: AbortSignal.timeout(timeoutMs),
      });
      // Whatever stands before Meta's servers says it in its own way; nothing was done.
      value = await (answer.status === 429 ? answer.json().catch(() => undefined) : answer.json());
    } catch (error) {
      throw new GraphSilence(`no answer to ${method} of the Graph API`, { cause: error });
    }
    if (!answer.ok) throw new GraphRefusal(answer.status, value, answer.headers.get("retry-after"));
    return Object(value) as Record<string, unknown>;
  }

  /** The bytes behind an address that Meta gave. Throws GraphRefusal or GraphSilence. */
  async download(address: string, token: string): Promise<AsyncIterable<Uint8Array>> {
    let answer: Response;
    try {
      answer = await fetch(address, {
        redirect: "error",
        headers: { authorization: `Bearer ${token}` },
      });
    } catch (error) {
      throw new GraphSilence("no answer to a download", { cause: error });
    }
    if (!answer.ok || !answer.body) throw new GraphRefusal(answer.status, undefined, null);
    return answer.body;
  }
}

function proved(path: string, token: string, appSecret: string | undefined): string {
  if (appSecret === undefined) return path;
  const proof = createHmac("sha256", appSecret).update(token).digest("hex");
  return `${path}${path.includes("?") ? "&" : "?"}appsecret_proof=${proof}`;
}

function headersOf(body: GraphBody | undefined): Record<string, string> {
  if (!body || "form" in body) return {};
  if ("json" in body) return { "content-type": "application/json" };
  const { contentType, bytes } = body.stream;
  return {
    "content-type": contentType,
    ...(bytes === undefined ? {} : { "content-length": String(bytes) }),
  };
}

function contentOf(body: GraphBody): Pick<RequestInit, "body" | "duplex"> {
  if ("json" in body) return { body: JSON.stringify(body.json) };
  if ("form" in body) return { body: body.form };
  return { body: ReadableStream.from(body.stream.chunks), duplex: "half" };
}
