/** The WPP Platform as a server: its fourteen calls, its one key per organisation, its webhooks. */
import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { Faults } from "./faults.ts";
import {
  GATEWAY_TIMEOUT,
  ok,
  textIn,
  type WppAnswer,
  type WppCall,
  WppHttp,
  type WppRequest,
} from "./http.ts";
import { Jwts } from "./jwt.ts";
import { PlatformWorld, type WppClient, type WppTask } from "./platform-world.ts";
import { WppWebhooks } from "./webhooks.ts";

export type WppPlatformOptions = {
  /** Default 0: a free one. */
  port?: number;
  host?: string;
  secret?: string;
  /** How long a token lives; default 15 minutes. */
  tokenTtlMs?: number;
  /** Whether `expiresIn` is told; default true. */
  tellsExpiry?: boolean;
  /** How long a new key is not taken yet; default 0. */
  activationMs?: number;
  /** How long from `start` to the first QR; default 20. */
  qrMs?: number;
  /** How a QR is written; default `data_url`. */
  qrForm?: "data_url" | "base64" | "text" | "nested";
  /**
   * What comes of a key that was given out again while its session runs: its exchange is refused (403), or its
   * start ends at the proxy in front (504). Default 403.
   */
  onReissue?: 403 | 504;
  /** How long such a start hangs before its 504; default 50. */
  clashMs?: number;
  /** How long until a message is sent, delivered and read; default 5 each. */
  stepMs?: number;
  /** Whether recipients read; default true. */
  isRead?: boolean;
  /** Answers what is no call of the platform; undefined: nothing of its own either. */
  beside?: (request: WppRequest) => WppCall | undefined;
};

const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==";
const REFUSED: WppAnswer = { status: 401, body: { error: "Unauthorized" } };
const NOT_FOUND: WppAnswer = { status: 404, body: { error: "not found" } };

export class WppPlatformSimulator implements AsyncDisposable {
  readonly world = new PlatformWorld();
  readonly faults = new Faults();
  readonly options: Required<WppPlatformOptions>;
  readonly webhooks: WppWebhooks;
  readonly #http: WppHttp;
  readonly #jwts = new Jwts();

  constructor(options: WppPlatformOptions = {}) {
    this.options = {
      port: 0,
      host: "127.0.0.1",
      secret: "wpp-secret-of-the-simulator",
      tokenTtlMs: 900_000,
      tellsExpiry: true,
      activationMs: 0,
      qrMs: 20,
      qrForm: "data_url",
      onReissue: 403,
      clashMs: 50,
      stepMs: 5,
      isRead: true,
      beside: () => undefined,
      ...options,
    };
    this.#http = new WppHttp(
      (request) => this.options.beside(request) ?? this.#route(request),
      this.faults,
    );
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

  /** A phone scans the QR that is shown. */
  scan(session: string, phone: string): void {
    const client = this.world.bySession(session);
    if (client.state !== "qr") throw new RangeError("no QR is shown");
    Object.assign(client, { state: "connected", qr: null, phone });
    this.#tell(client, { type: "connected", data: { account: session } });
  }

  /** The connection is lost, or (`logout`) the phone has removed the device. */
  drop(session: string, type: "offline" | "logout" = "offline"): void {
    const client = this.world.bySession(session);
    Object.assign(client, { state: "offline", qr: null }, type === "logout" ? { phone: null } : {});
    this.#tell(client, { type, account: session });
  }

  /** A person writes to the number. Returns the message's id. */
  say(session: string, phone: string, message: string | Record<string, unknown>): string {
    const messageId = `false_${phone}@c.us_3AB0${randomBytes(8).toString("hex").toUpperCase()}`;
    const said = typeof message === "string" ? { type: "chat", text: message } : message;
    const from = { account: session, from: `+${phone}`, raw_from: `${phone}@c.us` };
    this.#tell(this.world.bySession(session), { ...from, messageId, ...said });
    return messageId;
  }

  /** The number's own phone writes. */
  writeFromPhone(session: string, to: string, text: string): string {
    const messageId = `true_${to}@c.us_3EB0${randomBytes(8).toString("hex").toUpperCase()}`;
    return this.say(session, to, { type: "chat", text, fromMe: true, messageId }) && messageId;
  }

  #tell(client: WppClient, body: object): void {
    if (client.webhook !== null) this.webhooks.send(client.webhook, body);
  }

  #route({ method, path, bearer, body }: WppRequest): WppCall {
    const [first, second, third, fourth] = path;
    const key = `${method} ${first}/${second}`;
    const of = (
      name: string,
      run: (client: WppClient) => WppAnswer | Promise<WppAnswer>,
    ): WppCall => {
      const session = this.#jwts.read(bearer, Date.now()) ?? null;
      return {
        name,
        session,
        run: () => (session === null ? REFUSED : run(this.world.bySession(session))),
      };
    };
    /** The session is in the path, and only its own token may name it. */
    const at = (
      name: string,
      named: string | undefined,
      run: (client: WppClient) => WppAnswer | Promise<WppAnswer>,
    ) =>
      of(name, (client) =>
        client.session === named ? run(client) : { status: 403, body: { error: "Forbidden" } },
      );

    if (path.join("/") === "api/integrations/wpp/create" && method === "POST") {
      return { name: "create", session: null, run: () => this.#create(bearer, body) };
    }
    if (key === "POST auth/token") {
      return { name: "token", session: null, run: () => this.#token(textIn(body["apiKey"])) };
    }
    if (key === "POST api/accounts" && third === "start") {
      return at("start", textIn(body["number"]), (client) => this.#start(client));
    }
    if (key === "GET api/accounts" && fourth === "status") {
      return at("status", third, ({ state }) =>
        ok({ status: state === "qr" ? "qr_required" : state }),
      );
    }
    if (key === "GET api/accounts" && fourth === "qr")
      return at("qr", third, ({ qr }) => ok(this.#qrBody(qr)));
    if (key === "POST internal/session" && fourth === "webhook") {
      return at("webhook", third, (client) => {
        client.webhook = textIn(body["url"]);
        return ok({ ok: true });
      });
    }
    if (key === "POST internal/session" && fourth === "stop") {
      return at("stop", third, (client) => {
        Object.assign(client, { state: "offline", qr: null });
        return ok({ ok: true });
      });
    }
    if (key === "POST api/messages" && third === "react")
      return of("react", (client) => this.#react(client, body));
    if (
      key === "POST api/messages" &&
      ["text", "image", "file", "location"].includes(third ?? "")
    ) {
      return of(third ?? "", (client) => this.#send(client, third ?? "", body));
    }
    if (key === "GET api/messages" && third === "media")
      return of("media", () => this.#file(fourth ?? ""));
    if (key === "DELETE api/messages")
      return of("delete", (client) => this.#delete(client, third ?? ""));
    return { name: "unknown", session: null, run: () => NOT_FOUND };
  }

  #create(bearer: string, body: Record<string, unknown>): WppAnswer {
    if (bearer !== this.options.secret) return REFUSED;
    const { organizationId } = body;
    if (typeof organizationId !== "string" || organizationId === "") {
      return { status: 400, body: { error: "organizationId is required" } };
    }
    const { client, isNew } = this.world.create(
      organizationId,
      Date.now() + this.options.activationMs,
    );
    if (!isNew && client.state !== "offline") client.isReissued = true;
    return ok({ apiKey: client.apiKey, session: client.session, status: "starting" });
  }

  #token(apiKey: string): WppAnswer {
    const client = this.world.byKey(apiKey);
    const isReused = client?.isReissued === true && this.options.onReissue === 403;
    if (!client || Date.now() < client.activeAt || isReused) {
      return { status: 403, body: { error: "Invalid API key" } };
    }
    const { tokenTtlMs, tellsExpiry } = this.options;
    const token = this.#jwts.issue(client.session, tokenTtlMs, Date.now());
    return ok({ token, ...(tellsExpiry ? { expiresIn: tokenTtlMs / 1_000 } : {}) });
  }

  async #start(client: WppClient): Promise<WppAnswer> {
    if (client.isReissued && this.options.onReissue === 504) {
      await sleep(this.options.clashMs, undefined, { signal: this.#http.signal });
      return GATEWAY_TIMEOUT;
    }
    if (client.state === "connected") return ok({ status: "connected" });
    if (client.state === "qr") return ok(this.#qrBody(client.qr));
    if (client.state === "offline") {
      client.state = client.phone === null ? "starting" : "connected";
      if (client.phone === null) this.#later(this.options.qrMs, () => this.#showQr(client));
      else this.#tell(client, { type: "connected", data: { account: client.session } });
    }
    return ok({ status: client.state === "connected" ? "connected" : "starting" });
  }

  #showQr(client: WppClient): void {
    if (client.state !== "starting") return;
    client.qrCount += 1;
    Object.assign(client, {
      state: "qr",
      qr: `2@${client.session}.${client.qrCount},bm9pc2U=,aWQ=,YWR2`,
    });
    this.#tell(client, {
      type: "qr",
      data: { account: client.session, ...this.#qrBody(client.qr) },
    });
  }

  #qrBody(qr: string | null): Record<string, unknown> {
    if (qr === null) return { qr: null };
    const { qrForm } = this.options;
    if (qrForm === "text") return { qr };
    if (qrForm === "nested") return { data: { qr: PNG } };
    return { qr: qrForm === "base64" ? PNG : `data:image/png;base64,${PNG}` };
  }

  #send(client: WppClient, kind: string, body: Record<string, unknown>): WppAnswer {
    if (client.state !== "connected") return ok({ status: "error", message: "Account is offline" });
    const to = textIn(body["to"]);
    if (!/^[0-9]{6,15}$/.test(to)) return { status: 400, body: { error: "to is not a number" } };
    const task = this.world.addTask(client.session, to, { kind, ...body });
    this.#progress(client, task);
    return ok(
      kind === "location"
        ? { success: true, taskId: task.taskId, status: "queued" }
        : { status: "queued", taskId: task.taskId },
    );
  }

  #progress(client: WppClient, task: WppTask): void {
    const { taskId, waMessageId } = task;
    const account = client.session;
    const { stepMs, isRead } = this.options;
    this.#later(stepMs, () => {
      this.#tell(client, {
        type: "message.status",
        data: { account, taskId, waMessageId, status: "sent" },
      });
      this.#later(stepMs, () => {
        this.#tell(client, { type: "delivery", account, messageId: taskId, status: "delivered" });
        if (!isRead) return;
        this.#later(stepMs, () =>
          this.#tell(client, { type: "delivery", account, messageId: waMessageId, status: "read" }),
        );
      });
    });
  }

  #react(client: WppClient, body: Record<string, unknown>): WppAnswer {
    const [to, waMessageId] = [textIn(body["to"]), textIn(body["waMessageId"])];
    if (!/^\+[0-9]{6,15}$/.test(to)) return { status: 400, body: { error: "to is not a number" } };
    if (client.state !== "connected") return ok({ status: "error", message: "Account is offline" });
    this.world.reactions.push({
      session: client.session,
      to,
      waMessageId,
      emoji: textIn(body["emoji"]),
    });
    return ok({ status: "ok" });
  }

  #delete(client: WppClient, taskId: string): WppAnswer {
    const task = this.world.tasks.get(taskId);
    if (!task || task.isDeleted || task.session !== client.session) return NOT_FOUND;
    task.isDeleted = true;
    return ok({ ok: true });
  }

  #file(messageId: string): WppAnswer {
    const file = this.world.files.get(messageId);
    if (!file) return NOT_FOUND;
    const { bytes, mimeType, fileName } = file;
    return {
      status: 200,
      body: bytes,
      headers: {
        "content-type": mimeType,
        "content-disposition": `attachment; filename="${fileName}"`,
      },
    };
  }

  #later(ms: number, work: () => void): void {
    void sleep(ms, undefined, { signal: this.#http.signal, ref: false }).then(
      work,
      () => undefined,
    );
  }
}

/** Starts it; it is ready when this resolves. */
export async function startWppPlatform(
  options: WppPlatformOptions = {},
): Promise<WppPlatformSimulator> {
  const simulator = new WppPlatformSimulator(options);
  await simulator.listen();
  return simulator;
}
