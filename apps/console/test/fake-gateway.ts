/** A gateway at the wire: serves the built page, answers REST and streams events as a test says. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { StatusAnswer } from "@manyline/contracts";
import type { Build } from "./static-files.ts";

export const COMPANY_ID = "962302";
export const NUMBER_ID = `num_${"0".repeat(31)}1`;
export const LINK_TOKEN = "mlk_0123456789abcdefghijklmnop";

/** How a request is answered. `undefined` body: the connection is cut, as when no server is there. */
export type Reply = { status: number; body?: unknown; headers?: Record<string, string> };
export type Action =
  | "link-exchange"
  | "status"
  | "reconnect"
  | "pairing-code"
  | "cleanup"
  | "events";

export function problem(
  status: number,
  code: string,
  facts: { retryAfter?: number; [fact: string]: unknown } = {},
): Reply {
  const { retryAfter, ...body } = facts;
  return {
    status,
    body: { code, status, title: code, success: false, requestId: "req_7Q2MX4", ...body },
    headers: retryAfter === undefined ? {} : { "retry-after": String(retryAfter) },
  };
}

export const CUT: Reply = { status: 0 };

export class FakeGateway {
  status: StatusAnswer = statusAnswer();
  /** what the page asked for: `POST reconnect {}` */
  readonly calls: { action: Action; body: unknown }[] = [];
  readonly #replies = new Map<Action, Reply | (() => Promise<Reply>)>();
  readonly #streams = new Set<ServerResponse>();
  readonly #server: Server;

  readonly #build: Build;

  private constructor(built: Build) {
    this.#build = built;
    this.#server = createServer((request, response) => void this.#handle(request, response));
  }

  static async start(built: Build): Promise<FakeGateway> {
    const gateway = new FakeGateway(built);
    await new Promise<void>((resolve) => gateway.#server.listen(0, "127.0.0.1", resolve));
    return gateway;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** The link a person is sent. */
  get link(): string {
    return `${this.url}/whatsapp-pairing.html?company=${COMPANY_ID}#${LINK_TOKEN}`;
  }

  /** Answers an action with this from now on; `undefined` with what is usual. */
  reply(action: Action, reply: Reply | (() => Promise<Reply>) | undefined): void {
    if (reply) this.#replies.set(action, reply);
    else this.#replies.delete(action);
  }

  /** An event on every open stream. */
  emit(type: string, data: Record<string, unknown>): void {
    const envelope = {
      specversion: "1.0",
      id: `evt_${crypto.randomUUID().replaceAll("-", "")}`,
      type,
      companyid: COMPANY_ID,
      numberid: NUMBER_ID,
      data,
      serverTime: new Date().toISOString(),
    };
    this.#write(type, envelope);
  }

  /** The state, as at the start of a stream. */
  emitSnapshot(): void {
    this.#write("snapshot", this.#snapshot());
  }

  get streamCount(): number {
    return this.#streams.size;
  }

  cutStreams(): void {
    for (const stream of this.#streams) stream.destroy();
    this.#streams.clear();
  }

  callsOf(action: Action): unknown[] {
    return this.calls.filter((call) => call.action === action).map(({ body }) => body);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cutStreams();
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #write(name: string, data: unknown): void {
    for (const stream of this.#streams) {
      stream.write(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
    }
  }

  #snapshot(): StatusAnswer {
    return { ...this.status, serverTime: new Date().toISOString() };
  }

  async #handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    if (!pathname.startsWith("/api/")) {
      if (!(await this.#build.serve(pathname, response))) response.writeHead(404).end();
      return;
    }
    const action = pathname.split("/").at(-1) as Action;
    this.calls.push({ action, body: await readBody(request) });
    const found = this.#replies.get(action);
    const reply = typeof found === "function" ? await found() : (found ?? this.#usual(action));
    if (reply === CUT) {
      response.destroy();
    } else if (action === "events" && reply.status === 200) {
      response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
      this.#streams.add(response);
      response.on("close", () => this.#streams.delete(response));
      response.write(`event: snapshot\ndata: ${JSON.stringify(this.#snapshot())}\n\n`);
    } else {
      response.writeHead(reply.status, { "content-type": "application/json", ...reply.headers });
      response.end(JSON.stringify(reply.body ?? {}));
    }
  }

  #usual(action: Action): Reply {
    switch (action) {
      case "link-exchange": {
        const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
        return {
          status: 200,
          body: { success: true, companyId: COMPANY_ID, numberId: NUMBER_ID, expiresAt },
        };
      }
      case "status": {
        const { attempt } = this.status;
        if (!attempt) return { status: 200, body: this.#snapshot() };
        const { qr: _, code: __, ...plain } = attempt;
        return { status: 200, body: { ...this.#snapshot(), attempt: plain } };
      }
      case "reconnect":
        return { status: 202, body: { success: true } };
      case "events":
      case "cleanup":
      case "pairing-code":
        return { status: 200, body: { success: true } };
    }
  }
}

/** A company whose number was never linked. */
export function statusAnswer(changes: Partial<StatusAnswer> = {}): StatusAnswer {
  const now = new Date().toISOString();
  return {
    success: true,
    companyId: COMPANY_ID,
    status: "disconnected",
    reason: "not_linked",
    since: now,
    asOf: now,
    serverTime: now,
    nextAction: "pair",
    until: null,
    number: { id: NUMBER_ID, provider: "linked", phone: null, name: null, isPrimary: true },
    attempt: null,
    codesLeft: 5,
    blockedUntil: null,
    restriction: null,
    isPaused: false,
    company: {
      id: COMPANY_ID,
      name: "Salon Aurora",
      phone: "447700900123",
      maskedEmail: "a•••@aurora.example",
      country: "GB",
      language: "en",
      timezone: "Europe/London",
      returnUrl: null,
      smsNotifications: false,
    },
    health: { score: 60, reconnectAttempts: 0, lastSeenAt: null },
    ...changes,
  };
}

async function readBody(request: IncomingMessage): Promise<unknown> {
  let text = "";
  for await (const part of request) text += String(part);
  return text ? (JSON.parse(text) as unknown) : undefined;
}
