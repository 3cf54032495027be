/** Meta's Cloud API as a server: the Graph API, signed webhooks, and a way to play the people. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { tokenOf } from "./access.ts";
import { answerControl } from "./control.ts";
import { Deliveries, type DeliveryOptions } from "./deliveries.ts";
import { GraphError } from "./errors.ts";
import { Flows, type FlowsOptions } from "./flows.ts";
import { Faults } from "./faults.ts";
import { answerGraph, CutError, newTraceId } from "./graph.ts";
import { SendLimits } from "./limits.ts";
import { MediaShelf } from "./media.ts";
import { pageOf } from "./page.ts";
import { Sending, type SendingOptions } from "./sending.ts";
import { Webhooks } from "./webhooks.ts";
import { MetaWorld, type BusinessNumber, type Person } from "./world.ts";

export type MetaSimulatorOptions = {
  /** Default 0: a free one. */
  port?: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** How many times faster than life pauses between messages to one person pass; default 1. */
  speed?: number;
  /** What is left to chance is the same for the same seed; default 1. */
  seed?: number;
  deliveries?: Partial<DeliveryOptions>;
  sending?: Partial<SendingOptions>;
  flows?: Partial<FlowsOptions>;
};

const BODY_BYTES = 110 * 1024 * 1024;
const HANDSHAKE_MS = 5_000;

export class MetaSimulator implements AsyncDisposable {
  readonly world = new MetaWorld();
  readonly faults = new Faults();
  readonly media = new MediaShelf();
  readonly deliveries: Deliveries;
  readonly sending: Sending;
  readonly webhooks: Webhooks;
  readonly flows: Flows;
  readonly #server: Server;
  #url = "";

  constructor(options: MetaSimulatorOptions) {
    const { speed = 1, seed = 1, deliveries = {}, sending = {}, flows = {} } = options;
    this.deliveries = new Deliveries(this.world, deliveries, dice(seed));
    this.webhooks = new Webhooks(this.world, this.deliveries);
    const limits = new SendLimits(() => performance.now(), speed);
    this.sending = new Sending(this.world, this.webhooks, limits, sending);
    this.flows = new Flows(this.world, this.sending.sent, (...reply) => this.say(...reply), flows);
    this.#server = createServer((request, response) => {
      void this.#answer(request, response);
    });
  }

  /** Of the server; `${url}/v26.0` is the Graph API. */
  get url(): string {
    return this.#url;
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

  /** A person writes to a number; whoever is not known yet, is from now on. Returns the message's id. */
  say(
    phoneNumberId: string,
    phone: string,
    message: string | ({ type: string } & Record<string, unknown>),
  ): string {
    const number = this.#number(phoneNumberId);
    const person = this.#person(phone);
    this.sending.noteHeard(number, person);
    const body = typeof message === "string" ? { type: "text", text: { body: message } } : message;
    return this.webhooks.message(number, person, body);
  }

  /** A person sends a file, which the number can fetch. Returns the message's id. */
  sendFile(
    phoneNumberId: string,
    phone: string,
    file: { type: string; mimeType: string; bytes: Buffer; caption?: string },
  ): string {
    const { wabaId } = this.#number(phoneNumberId);
    const { mimeType, bytes, type, caption } = file;
    const { id } = this.media.add({ phoneNumberId, wabaId, mimeType, bytes });
    const part = { id, mime_type: mimeType, ...(caption === undefined ? {} : { caption }) };
    return this.say(phoneNumberId, phone, { type, [type]: part });
  }

  /** Tells of anything else; `value` is what Meta would put there. */
  change(phoneNumberId: string, field: string, value: Record<string, unknown>): void {
    this.webhooks.change(this.#number(phoneNumberId), field, value);
  }

  async close(): Promise<void> {
    this.deliveries.close();
    this.sending.close();
    this.flows.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #number(id: string): BusinessNumber {
    const number = this.world.numbers.get(id);
    if (!number) throw new RangeError(`there is no number ${id}`);
    return number;
  }

  #person(phone: string): Person {
    return this.world.people.get(phone) ?? this.world.addPerson({ phone });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const traceId = newTraceId();
    try {
      await this.#route(request, response);
    } catch (error) {
      if (error instanceof CutError) {
        request.socket.destroy();
        return;
      }
      const known =
        error instanceof GraphError
          ? error
          : new GraphError({ code: 100, details: error instanceof Error ? error.message : "" });
      const headers = known.retryAfter === undefined ? {} : { "retry-after": known.retryAfter };
      sendJson(response, known.httpStatus, known.body(traceId), headers);
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? "/", this.#url);
    const [first = "", ...rest] = pathname.split("/").filter((part) => part !== "");
    const body = await readBody(request);
    const { authorization } = request.headers;
    if (first === "") {
      response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
      response.end(pageOf(this));
    } else if (first === "control") {
      await this.#control(request, response, rest.join("/"), body);
    } else if (first === "whatsapp_business") {
      const token = tokenOf(this.world, authorization);
      const file = this.media.open(rest.at(-1) ?? "");
      if (!token.wabas.includes(file.wabaId)) throw new GraphError({ code: 200, httpStatus: 403 });
      response.writeHead(200, { "content-type": file.mimeType });
      response.end(file.bytes);
    } else {
      const {
        status,
        body: answer,
        headers,
      } = await answerGraph(
        {
          world: this.world,
          sending: this.sending,
          media: this.media,
          faults: this.faults,
          handshake,
        },
        {
          method: request.method ?? "GET",
          version: first,
          path: rest,
          query: searchParams,
          authorization,
          json: () => jsonOf(body),
          form: () => formOf(request, body),
          origin: this.#url,
        },
      );
      sendJson(response, status, answer, headers);
    }
  }

  async #control(
    request: IncomingMessage,
    response: ServerResponse,
    path: string,
    body: Buffer,
  ): Promise<void> {
    const isForm = request.headers["content-type"]?.includes("urlencoded") ?? false;
    const value = isForm
      ? Object.fromEntries(new URLSearchParams(body.toString()))
      : body.length === 0
        ? {}
        : jsonOf(body);
    const answer = await answerControl(this, request.method ?? "GET", path, value);
    if (answer !== undefined && isForm) {
      response.writeHead(303, { location: `/#${path.split("/", 1)[0]}` });
      response.end();
    } else sendJson(response, answer === undefined ? 404 : 200, answer ?? {}, {});
  }
}

/** Starts it; it is ready when this resolves. */
export async function startMetaSimulator(
  options: MetaSimulatorOptions = {},
): Promise<MetaSimulator> {
  const simulator = new MetaSimulator(options);
  await simulator.listen(options.port ?? 0, options.host ?? "127.0.0.1");
  return simulator;
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string | number>,
): void {
  response.writeHead(status, { "content-type": "application/json; charset=UTF-8", ...headers });
  response.end(JSON.stringify(body));
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_BYTES) throw new GraphError({ code: 100, httpStatus: 413 });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function jsonOf(body: Buffer): Record<string, unknown> {
  const value: unknown = JSON.parse(body.toString());
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new GraphError({ code: 100, details: "the body must be an object" });
  }
  return { ...value };
}

function formOf(request: IncomingMessage, body: Buffer): Promise<FormData> {
  const type = request.headers["content-type"] ?? "";
  return new Response(new Uint8Array(body), { headers: { "content-type": type } }).formData();
}

/** Whether the address answers Meta's question as it should. */
async function handshake(url: string, verifyToken: string): Promise<boolean> {
  const challenge = String(Math.floor(Math.random() * 1e10));
  const asked = new URL(url);
  asked.searchParams.set("hub.mode", "subscribe");
  asked.searchParams.set("hub.verify_token", verifyToken);
  asked.searchParams.set("hub.challenge", challenge);
  try {
    const answer = await fetch(asked, { signal: AbortSignal.timeout(HANDSHAKE_MS) });
    return answer.status === 200 && (await answer.text()) === challenge;
  } catch {
    return false;
  }
}

function dice(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
