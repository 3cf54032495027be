/** Where mails and SMS end in development and in tests: an SMTP server, Twilio's API, and a page to read them. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { SinkFaults, type SinkFault } from "./faults.ts";
import { pageOf } from "./page.ts";
import { type ReceivedMail, SmtpSink, type SmtpTls } from "./smtp.ts";
import { answerTwilio, type ReceivedSms, twilioAccountIn, type TwilioAccount } from "./twilio.ts";

export type InboxOptions = {
  /** Of the page and of Twilio's API. Default 0: a free one. */
  port?: number;
  /** Of SMTP. Default 0: a free one. */
  smtpPort?: number;
  /** Default 127.0.0.1. */
  host?: string;
  account?: TwilioAccount;
  /** Undefined: SMTP needs no login. */
  smtpLogin?: { user: string; password: string };
  /** Undefined: SMTP has no TLS. */
  smtpTls?: SmtpTls;
};

const KEPT = 1_000;
const BODY_BYTES = 64 * 1024;
const ACCOUNT = { sid: `AC${"0".repeat(32)}`, token: "simulated-twilio-token" };

/** Keeps the last 1,000 of each, in memory. */
export class InboxSimulator implements AsyncDisposable {
  readonly faults = new SinkFaults();
  readonly account: TwilioAccount;
  readonly mails: ReceivedMail[] = [];
  readonly texts: ReceivedSms[] = [];
  readonly #host: string;
  readonly #server: Server;
  readonly #smtp: SmtpSink;
  #lastId = 0;
  readonly #smtpScheme: "smtp" | "smtps";
  #smtpPort = 0;
  #url = "";

  constructor({ host = "127.0.0.1", account = ACCOUNT, smtpLogin, smtpTls }: InboxOptions) {
    this.#host = host;
    this.account = account;
    this.#smtpScheme = smtpTls?.isImplicit ? "smtps" : "smtp";
    this.#smtp = new SmtpSink({
      faults: this.faults,
      login: smtpLogin,
      tls: smtpTls,
      take: (mail) => this.#keep(this.mails, { ...mail, ...this.#stamp() }),
    });
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch(() => response.destroy());
    });
  }

  /** Of the page; also the base of Twilio's API. */
  get url(): string {
    return this.#url;
  }
  /** `smtp://…`, or `smtps://…` where TLS begins at once; without a login. */
  get smtpUrl(): string {
    return `${this.#smtpScheme}://${this.#host}:${this.#smtpPort}`;
  }

  async listen(port: number, smtpPort: number): Promise<void> {
    this.#smtpPort = await this.#smtp.listen(smtpPort, this.#host);
    await new Promise<void>((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(port, this.#host, resolve);
    });
    const address = this.#server.address();
    const taken = typeof address === "object" && address ? address.port : port;
    this.#url = `http://${this.#host}:${taken}`;
  }

  async close(): Promise<void> {
    await this.#smtp.close();
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #stamp(): { id: number; at: Date } {
    this.#lastId += 1;
    return { id: this.#lastId, at: new Date() };
  }

  #keep<One>(kept: One[], one: One): void {
    kept.push(one);
    if (kept.length > KEPT) kept.shift();
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? "/", "http://sink").pathname;
    const body = await bodyOf(request);
    const sid = twilioAccountIn(path);
    if (request.method === "POST" && sid !== undefined) {
      this.#twilio(sid, request, body, response);
      return;
    }
    switch (`${request.method} ${path}`) {
      case "GET /":
        response.setHeader(
          "content-security-policy",
          "default-src 'none'; style-src 'unsafe-inline'",
        );
        response.setHeader("content-type", "text/html; charset=utf-8");
        response.end(pageOf(this.mails, this.texts));
        break;
      case "GET /control/messages": {
        const mails = this.mails.map((mail) => ({
          id: mail.id,
          at: mail.at,
          from: mail.from,
          to: mail.to,
          subject: mail.subject,
          text: mail.text,
          html: mail.html,
        }));
        sendJson(response, 200, { mails, texts: this.texts });
        break;
      }
      case "DELETE /control/messages":
        this.mails.length = 0;
        this.texts.length = 0;
        sendJson(response, 200, {});
        break;
      case "POST /control/faults":
        this.faults.add(JSON.parse(body) as SinkFault);
        sendJson(response, 200, {});
        break;
      case "DELETE /control/faults":
        this.faults.clear();
        sendJson(response, 200, {});
        break;
      default:
        sendJson(response, 404, {});
    }
  }

  #twilio(sid: string, request: IncomingMessage, body: string, response: ServerResponse): void {
    const fault = this.faults.take("sms");
    if (fault?.effect === "hang") return;
    if (fault?.effect === "drop") {
      response.destroy();
      return;
    }
    const { authorization } = request.headers;
    const form = new URLSearchParams(body);
    const answer = answerTwilio(this.account, { sid, authorization, form }, fault, (sms) =>
      this.#keep(this.texts, { ...sms, ...this.#stamp() }),
    );
    if (fault?.effect === "take_and_drop") {
      response.destroy();
      return;
    }
    if (fault?.effect === "take_and_hang") return;
    const send = (): void => sendJson(response, answer.status, answer.body, answer.headers);
    if (fault?.effect === "late") setTimeout(send, fault.delayMs ?? 1_000).unref();
    else send();
  }
}

/** Starts both servers. */
export async function startInboxSimulator(options: InboxOptions = {}): Promise<InboxSimulator> {
  const inbox = new InboxSimulator(options);
  await inbox.listen(options.port ?? 0, options.smtpPort ?? 0);
  return inbox;
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > BODY_BYTES) throw new RangeError("the body is too large");
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}

function sendJson(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Record<string, string> = {},
): void {
  if (response.destroyed) return;
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(JSON.stringify(body));
}
