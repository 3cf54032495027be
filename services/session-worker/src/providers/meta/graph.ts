/** Calls of Meta's Graph API, each with the token it is given and no other. */

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
  readonly retryAfterMs: number | undefined;

  constructor(httpStatus: number, body: unknown, retryAfter: string | null) {
    const error = Object(Object(body)["error"]) as Record<string, unknown>;
    const [code, subcode] = [Number(error["code"]), Number(error["error_subcode"])];
    // Meta's own words may repeat what was sent: they go into no log.
    super(`Graph API error ${Number.isFinite(code) ? code : "without a code"} (${httpStatus})`);
    this.httpStatus = httpStatus;
    this.code = Number.isFinite(code) ? code : -1;
    if (Number.isFinite(subcode)) this.subcode = subcode;
    const seconds = Number(retryAfter);
    this.retryAfterMs = retryAfter !== null && seconds > 0 ? seconds * 1_000 : undefined;
  }
}

/** There was no answer: nobody knows whether Meta has done it. */
export class GraphSilence extends Error {
  override name = "GraphSilence";
}

export type GraphBody = { json: object } | { form: FormData | URLSearchParams };

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
    token: string,
    body?: GraphBody,
    timeoutMs = this.#figures.timeoutMs,
  ): Promise<Record<string, unknown>> {
    const { url, version } = this.#figures;
    let answer: Response;
    let value: unknown;
    try {
      answer = await fetch(`${url}/${version}/${path}`, {
        method,
        redirect: "error",
        headers: {
          authorization: `Bearer ${token}`,
          ...(body && "json" in body ? { "content-type": "application/json" } : {}),
        },
        ...(body ? { body: "json" in body ? JSON.stringify(body.json) : body.form } : {}),
        signal: AbortSignal.timeout(timeoutMs),
      });
      value = await answer.json();
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
