/** WPPConnect Server as a server: tokens per session, the calls that a client needs, webhooks that come once. */
import { createHash, randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { answerSend, isSend } from "./connect-sends.ts";
import { type ConnectMessage, type ConnectSession, ConnectWorld, newHex } from "./connect-world.ts";
import { Faults } from "./faults.ts";
import { ok, type WppAnswer, type WppCall, WppHttp, type WppRequest } from "./http.ts";
import { WppWebhooks } from "./webhooks.ts";

export type WppConnectOptions = {
  /** Default 0: a free one. */
  port?: number;
  host?: string;
  secret?: string;
  /** How long from start to the QR or code; default 20. */
  qrMs?: number;
  /** How long until a message is sent, delivered and read; default 5 each. */
  stepMs?: number;
};

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const REFUSED: WppAnswer = {
  status: 401,
  body: { error: "Check that the Session and Token are correct" },
};
const CLOSED: WppAnswer = {
  status: 404,
  body: { response: null, status: "Disconnected", message: "A sessão do WhatsApp não está ativa." },
};
const WAIT_STEP_MS = 10;

export class WppConnectSimulator implements AsyncDisposable {
  readonly world = new ConnectWorld();
  readonly faults = new Faults();
  readonly options: Required<WppConnectOptions>;
  readonly webhooks: WppWebhooks;
  readonly #http: WppHttp;
  /** Hashes of tokens, with the session each is for: they never end. */
  readonly #tokens = new Map<string, string>();

  constructor(options: WppConnectOptions = {}) {
    this.options = {
      port: 0,
      host: "127.0.0.1",
      secret: "a-secret-of-the-simulator",
      qrMs: 20,
      stepMs: 5,
      ...options,
    };
    this.#http = new WppHttp((request) => this.#route(request), this.faults);
    this.webhooks = new WppWebhooks(() => this.#http.signal);
  }

  get url(): string {
    return this.#http.url;
  }

  get calls(): WppHttp["calls"] {
    return this.#http.calls;
  }

  async listen(): Promise<void> {
    await this.#http.listen(this.options.port, this.options.host);
  }

  async close(): Promise<void> {
    await this.#http.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** A phone scans the QR, or types the code. */
  link(name: string, phone: string): void {
    const session = this.world.session(name);
    if (session.status !== "QRCODE" && session.status !== "PHONECODE")
      throw new RangeError("nothing is shown");
    this.tell(session, "status-find", { status: "qrReadSuccess" });
    this.#connected(session, phone);
  }

  /** The phone removes the device. */
  removeDevice(name: string): void {
    const session = this.world.session(name);
    Object.assign(session, { status: "CLOSED", phone: null, urlcode: null });
    this.tell(session, "status-find", { status: "disconnectedMobile" });
  }

  /** The engine of the session ends; the phone keeps the device. */
  closeBrowser(name: string): void {
    const session = this.world.session(name);
    Object.assign(session, { status: "CLOSED", urlcode: null, phoneCode: null });
    this.tell(session, "status-find", { status: "browserClose" });
  }

  /** A person writes. While nobody is told (`isLost`) it stays among the unread ones. Returns the message's id. */
  say(name: string, phone: string, more: string | Record<string, unknown>, isLost = false): string {
    const session = this.world.session(name);
    const chat = this.world.lids.has(phone) ? `${this.world.lids.get(phone)}@lid` : `${phone}@c.us`;
    const said = typeof more === "string" ? { type: "chat", body: more, content: more } : more;
    const message: ConnectMessage = {
      id: `false_${chat}_${newHex("3AB0")}`,
      t: Math.floor(Date.now() / 1_000),
      notifyName: "Sample Contact",
      from: chat,
      to: `${session.phone}@c.us`,
      ack: 1,
      chatId: chat,
      fromMe: false,
      isGroupMsg: false,
      sender: { id: chat, pushname: "Sample Contact", isMe: false },
      ...said,
    };
    this.world.keep(name, message);
    if (isLost) this.world.unread.set(name, [...(this.world.unread.get(name) ?? []), message]);
    else this.tell(session, "onmessage", message);
    return message.id;
  }

  /** Sends a webhook of the session, if it has an address. What the data has wins over the frame. */
  tell(session: ConnectSession, event: string, data: object): void {
    const { webhook } = session.config;
    const body = { event, session: session.name, ...data };
    if (typeof webhook === "string" && webhook !== "") this.webhooks.send(webhook, body);
  }

  /** A message that was sent is taken, arrives and is read. */
  progress(session: ConnectSession, message: ConnectMessage): void {
    const [, chat, hex] = message.id.split("_");
    const id = { fromMe: true, remote: chat, id: hex, _serialized: message.id };
    const ack = (number: number) => {
      const { to } = message;
      const from = `${session.phone}@c.us`;
      const data = { id, ack: number, from, to, self: "out", t: Math.floor(Date.now() / 1_000) };
      this.tell(session, "onack", data);
    };
    const { stepMs } = this.options;
    for (const number of [1, 2, 3]) this.#later(stepMs * number, () => ack(number));
  }

  #connected(session: ConnectSession, phone: string): void {
    Object.assign(session, { status: "CONNECTED", phone, urlcode: null, phoneCode: null });
    this.tell(session, "status-find", { status: "inChat" });
  }

  #route(request: WppRequest): WppCall {
    const { method, path, body } = request;
    const [root, place = "", call = "", last] = path;
    if (path.join("/") === "healthz")
      return { name: "healthz", session: null, run: () => ok({ message: "OK" }) };
    if (root !== "api")
      return { name: "unknown", session: null, run: () => ({ status: 404, body: {} }) };
    if (method === "POST" && last === "generate-token") {
      return { name: "generate-token", session: place, run: () => this.#token(place, call) };
    }
    const [name = "", inPath = ""] = place.split(":");
    const run = (): WppAnswer | Promise<WppAnswer> => {
      const isAllowed = this.#isToken(name, inPath === "" ? request.bearer : inPath);
      return isAllowed
        ? this.#call(`${method} ${call}`, this.world.session(name), body, path.slice(3))
        : REFUSED;
    };
    return { name: call, session: name, run };
  }

  #token(session: string, secret: string): WppAnswer {
    if (secret !== this.options.secret) {
      return { status: 400, body: { response: false, message: "The SECRET_KEY is incorrect" } };
    }
    const token = `$2b$10$${randomBytes(40).toString("base64url").slice(0, 53)}`;
    this.#tokens.set(createHash("sha256").update(token).digest("hex"), session);
    return {
      status: 201,
      body: { status: "success", session, token, full: `${session}:${token}` },
    };
  }

  #isToken(session: string, token: string): boolean {
    return this.#tokens.get(createHash("sha256").update(token).digest("hex")) === session;
  }

  async #call(
    key: string,
    session: ConnectSession,
    body: Record<string, unknown>,
    rest: readonly string[],
  ): Promise<WppAnswer> {
    const { status, urlcode, phone } = session;
    switch (key) {
      case "POST start-session":
        return this.#start(session, body);
      case "GET status-session":
        return ok({
          status,
          qrcode: urlcode === null ? null : `data:image/png;base64,${PNG}`,
          urlcode,
          version: "2.10.4",
        });
      case "GET check-connection-session":
        return ok({
          status: status === "CONNECTED",
          message: status === "CONNECTED" ? "Connected" : "Disconnected",
        });
      case "GET qrcode-session":
        return urlcode === null
          ? ok({ status, message: "QRCode is not available..." })
          : {
              status: 200,
              body: Buffer.from(PNG, "base64"),
              headers: { "content-type": "image/png" },
            };
      case "POST close-session":
        Object.assign(session, { status: "CLOSED", urlcode: null, phoneCode: null });
        this.tell(session, "closesession", {
          message: `Session: ${session.name} disconnected`,
          connected: false,
        });
        return ok({ status: true, message: "Session successfully closed" });
      case "POST logout-session":
        Object.assign(session, { status: "CLOSED", phone: null, urlcode: null, phoneCode: null });
        this.tell(session, "logoutsession", {
          message: `Session: ${session.name} logged out`,
          connected: false,
        });
        return ok({ status: true, message: "Session successfully closed" });
      default:
    }
    if (status !== "CONNECTED") return CLOSED;
    switch (key) {
      case "GET get-phone-number":
        return ok({ status: "success", response: `${phone}@c.us` });
      case "GET all-unread-messages": {
        const unread = this.world.unread.get(session.name) ?? [];
        this.world.unread.delete(session.name);
        return ok({ status: "success", response: unread });
      }
      case "GET contact":
        return rest[0] === "pn-lid" ? this.#person(rest[1] ?? "") : { status: 404, body: {} };
      case "GET check-number-status": {
        const numberExists = this.world.isKnown(rest[0] ?? "");
        return ok({ status: "success", response: { id: `${rest[0]}@c.us`, numberExists } });
      }
      case "GET get-media-by-message": {
        const message = this.world.find(session.name, rest[0] ?? "");
        if (!message)
          return { status: 400, body: { status: "error", message: "Message not found" } };
        return ok({ base64: message["file"] ?? message["body"], mimetype: message["mimetype"] });
      }
      default:
        return isSend(key)
          ? answerSend(this, key, session, body)
          : { status: 404, body: { error: "not found" } };
    }
  }

  async #start(session: ConnectSession, body: Record<string, unknown>): Promise<WppAnswer> {
    const answer = (): WppAnswer => {
      const { status, urlcode, phoneCode } = session;
      if (phoneCode !== null) return ok({ status: "phoneCode", phone: body["phone"], phoneCode });
      if (urlcode === null)
        return ok({ status: status ?? "CLOSED", qrcode: null, urlcode: null, version: "2.10.4" });
      return ok({ status: "qrcode", qrcode: PNG, urlcode, version: "2.10.4" });
    };
    // Whoever is on the way already is not started again.
    if (session.status !== null && session.status !== "CLOSED") {
      return ok({
        status: session.status,
        qrcode: null,
        urlcode: session.urlcode,
        version: "2.10.4",
      });
    }
    if (Object.keys(body).length > 0) session.config = { ...body };
    session.status = "INITIALIZING";
    this.#later(this.options.qrMs, () => this.#ready(session));
    if (body["waitQrCode"] !== true)
      return ok({ status: "CLOSED", qrcode: null, urlcode: null, version: "2.10.4" });
    const isWaiting = (): boolean => session.status === "INITIALIZING";
    while (isWaiting()) await sleep(WAIT_STEP_MS, undefined, { signal: this.#http.signal });
    return answer();
  }

  /** The engine is up: it has its credentials still, or shows a code or a QR. */
  #ready(session: ConnectSession): void {
    if (session.status !== "INITIALIZING") return;
    if (session.phone !== null) {
      this.#connected(session, session.phone);
      return;
    }
    this.tell(session, "status-find", { status: "notLogged" });
    const { phone } = session.config;
    if (typeof phone === "string" && phone !== "") {
      Object.assign(session, {
        status: "PHONECODE",
        phoneCode: randomBytes(4).toString("hex").toUpperCase(),
      });
      this.tell(session, "phoneCode", { phoneCode: session.phoneCode, phone });
      return;
    }
    session.qrCount += 1;
    Object.assign(session, {
      status: "QRCODE",
      urlcode: `2@${session.name}.${session.qrCount},bm9pc2U=,aWQ=,YWR2`,
    });
    this.tell(session, "qrcode", { qrcode: PNG, urlcode: session.urlcode });
  }

  #person(id: string): WppAnswer {
    const digits = id.split("@")[0] ?? "";
    const found = [...this.world.lids].find((pair) => pair.includes(digits));
    if (!found) return { status: 404, body: { status: "error", message: "not found" } };
    const [phone, lid] = found;
    return ok({
      lid: { _serialized: `${lid}@lid` },
      phoneNumber: { _serialized: `${phone}@c.us` },
    });
  }

  #later(ms: number, work: () => void): void {
    void sleep(ms, undefined, { signal: this.#http.signal, ref: false }).then(
      work,
      () => undefined,
    );
  }
}

/** Starts it; it is ready when this resolves. */
export async function startWppConnect(
  options: WppConnectOptions = {},
): Promise<WppConnectSimulator> {
  const simulator = new WppConnectSimulator(options);
  await simulator.listen();
  return simulator;
}
