/** An HTTP server for a simulated WPP server, with faults in front of whatever it does. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import type { Faults } from "./faults.ts";

export type WppRequest = {
  method: string;
  /** Decoded, without empty parts. */
  path: readonly string[];
  query: URLSearchParams;
  /** After `Bearer `; empty: there is none. */
  bearer: string;
  /** Empty where the body is none or no object. */
  body: Record<string, unknown>;
};

export type WppAnswer = {
  status: number;
  /** An object as JSON; bytes and texts as they are. */
  body: object | Buffer | string;
  headers?: Record<string, string>;
};

/** What one call does. `name` is what faults and the log of calls know it by. */
export type WppCall = {
  name: string;
  session: string | null;
  run: () => Promise<WppAnswer> | WppAnswer;
};

/** A call as it was answered; `status` 0: the connection was cut. */
export type CallNote = { name: string; session: string | null; status: number; at: Date };

const BODY_BYTES = 64 * 1024 * 1024;
const NOTES = 2_000;

export class WppHttp {
  /** The latest last. */
  readonly calls: CallNote[] = [];
  readonly #server: Server;
  readonly #route: (request: WppRequest) => WppCall;
  readonly #faults: Faults;
  readonly #stopping = new AbortController();
  #url = "";

  constructor(route: (request: WppRequest) => WppCall, faults: Faults) {
    this.#route = route;
    this.#faults = faults;
    this.#server = createServer((request, response) => void this.#answer(request, response));
  }

  get url(): string {
    return this.#url;
  }

  /** Ends with the server. */
  get signal(): AbortSignal {
    return this.#stopping.signal;
  }

  async listen(port: number, host: string): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, host, resolve);
    });
    const address = this.#server.address();
    const taken = typeof address === "object" && address ? address.port : port;
    this.#url = `http://${host.includes(":") ? `[${host}]` : host}:${taken}`;
  }

  async close(): Promise<void> {
    this.#stopping.abort();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const call = this.#route(await read(request));
      const answer = await this.#met(call);
      const { name, session } = call;
      this.calls.push({ name, session, status: answer?.status ?? 0, at: new Date() });
      if (this.calls.length > NOTES) this.calls.shift();
      if (answer) send(response, answer);
      else request.socket.destroy();
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      send(response, { status: 500, body: { error: error instanceof Error ? error.message : "" } });
    }
  }

  /** Undefined: the connection is cut. */
  async #met(call: WppCall): Promise<WppAnswer | undefined> {
    const effects = this.#faults.meet(call.name, call.session);
    for (const effect of effects) {
      if ("delayMs" in effect) {
        await sleep(effect.delayMs, undefined, { signal: this.#stopping.signal });
      }
    }
    for (const effect of effects) {
      if ("answer" in effect) return effect.answer;
      if ("cut" in effect && effect.cut === "before") return undefined;
    }
    const answer = await call.run();
    return effects.some((effect) => "cut" in effect) ? undefined : answer;
  }
}

async function read(request: IncomingMessage): Promise<WppRequest> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES) throw new RangeError("the body is too long");
    chunks.push(chunk);
  }
  const { pathname, searchParams } = new URL(request.url ?? "/", "http://wpp");
  const path = pathname
    .split("/")
    .filter((part) => part !== "")
    .map((part) => decodeURIComponent(part));
  const bearer = /^Bearer\s+(.+)$/i.exec(request.headers.authorization ?? "")?.[1] ?? "";
  const body = objectIn(Buffer.concat(chunks).toString());
  return { method: request.method ?? "GET", path, query: searchParams, bearer, body };
}

function objectIn(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    return {};
  }
}

function send(response: ServerResponse, { status, body, headers = {} }: WppAnswer): void {
  if (typeof body === "string" || Buffer.isBuffer(body)) {
    response.writeHead(status, { "content-type": "text/html", ...headers });
    response.end(body);
    return;
  }
  response.writeHead(status, { "content-type": "application/json; charset=utf-8", ...headers });
  response.end(JSON.stringify(body));
}

/** A text or number of a body; empty: it is something else. */
export function textIn(value: unknown): string {
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

export const ok = (body: object): WppAnswer => ({ status: 200, body });
/** What a proxy in front says when the server takes too long. */
export const GATEWAY_TIMEOUT: WppAnswer = {
  status: 504,
  body: "<html><head><title>504 Gateway Time-out</title></head></html>",
};
