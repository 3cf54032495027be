/**
 * A client of the WPP Platform: its fourteen calls. `create` is the application's own; everything else is done with
 * the key of one number. `session` is the text the platform gave, and no phone number.
 */
import { readWppQr, type WppQr } from "@manyline/contracts";
import { WppError } from "./errors.ts";
import { type WppCallInput, type WppFigures, WppHttp, type WppJson } from "./http.ts";
import { TokenKeeper, type WppToken } from "./token.ts";

/** What the platform gave for an organisation. */
export type WppClientKey = { apiKey: string; session: string };

/** `qr`: it waits to be scanned, and may show one. */
export type WppSessionWord = "connected" | "starting" | "offline" | "qr";
export type WppStarted = { state: WppSessionWord; qr: WppQr | null };

export type WppSent = { taskId: string | null };
export type WppFile = {
  mimeType: string;
  fileName: string | null;
  chunks: AsyncIterable<Uint8Array>;
};

export class WppPlatform {
  readonly #http: WppHttp;
  readonly #figures: WppFigures;
  /** The platform has said that it has no call for images: its call for files takes them. */
  readonly #quirks = { hasNoImages: false };

  constructor(figures: WppFigures) {
    this.#figures = figures;
    this.#http = new WppHttp(figures);
  }

  /** The client of the organisation; the same for the same id, for ever. Throws WppError. */
  async create(secret: string, organizationId: string): Promise<WppClientKey & { status: string }> {
    const answer = await this.#http.json({
      name: "create",
      method: "POST",
      path: ["api", "integrations", "wpp", "create"],
      bearer: secret,
      json: { organizationId },
      repeat: "yes",
    });
    const [apiKey, session] = [textIn(answer["apiKey"]), textIn(answer["session"])];
    if (apiKey === null || session === null) {
      throw new WppError("unreadable", "the WPP Platform gave no key or no session");
    }
    return { apiKey, session, status: textIn(answer["status"]) ?? "starting" };
  }

  /** What one number does. `known`: a token that is kept from before. */
  account(
    { apiKey, session }: WppClientKey,
    options: { known?: WppToken | undefined; onToken?: (token: WppToken) => void } = {},
  ): WppAccount {
    const tokens = new TokenKeeper(this.#http, apiKey, this.#figures, options);
    return new WppAccount(this.#http, tokens, session, this.#quirks);
  }
}

type Call = Omit<WppCallInput, "bearer">;

export class WppAccount {
  readonly session: string;
  readonly #http: WppHttp;
  readonly #tokens: TokenKeeper;
  readonly #quirks: { hasNoImages: boolean };

  constructor(
    http: WppHttp,
    tokens: TokenKeeper,
    session: string,
    quirks: { hasNoImages: boolean },
  ) {
    this.session = session;
    this.#http = http;
    this.#tokens = tokens;
    this.#quirks = quirks;
  }

  /** Makes sure of a token for a new key; see TokenKeeper. Throws WppError. */
  async firstToken(mayBeReused: boolean): Promise<void> {
    await this.#tokens.first(mayBeReused);
  }

  /** What took too long is under way: ask for the status instead of starting again. Throws WppError. */
  async start(): Promise<WppStarted> {
    const answer = await this.#json({
      name: "start",
      method: "POST",
      path: ["api", "accounts", "start"],
      json: { number: this.session },
      repeat: "patient",
      isLoose: true,
    });
    const qr = qrIn(answer);
    if (qr) return { state: "qr", qr };
    const word = textIn(answer["status"]) ?? textIn(answer["state"]);
    if (word === "error") throw said("start", answer);
    return { state: word === "connected" || word === "ready" ? "connected" : "starting", qr: null };
  }

  /** A word that nobody knows means that it waits to be scanned. Throws WppError: no error is taken for "offline". */
  async status(): Promise<WppSessionWord> {
    const answer = await this.#json({
      name: "status",
      method: "GET",
      path: ["api", "accounts", this.session, "status"],
      repeat: "yes",
    });
    return wordOf(textIn(answer["status"]) ?? textIn(answer["state"]));
  }

  /** Null: there is none (yet). Throws WppError. */
  async qr(): Promise<WppQr | null> {
    const path = ["api", "accounts", this.session, "qr"];
    return qrIn(
      await this.#json({ name: "qr", method: "GET", path, repeat: "yes", isLoose: true }),
    );
  }

  async registerWebhook(url: string): Promise<void> {
    await this.#done("webhook", ["internal", "session", this.session, "webhook"], { url });
  }

  /** A session that is not there is stopped already. */
  async stop(): Promise<void> {
    try {
      await this.#done("stop", ["internal", "session", this.session, "stop"], {});
    } catch (error) {
      if (!(error instanceof WppError) || error.kind !== "not_found") throw error;
    }
  }

  /** `to`: digits. Throws WppError; with `mayHaveLeft` it may have been sent nevertheless. */
  async sendText(to: string, text: string): Promise<WppSent> {
    return this.#send("text", { type: "text", to, text });
  }

  /** The platform fetches the file from `url`. */
  async sendImage(to: string, url: string, caption: string): Promise<WppSent> {
    if (!this.#quirks.hasNoImages) {
      try {
        return await this.#send("image", { type: "image", to, url, caption });
      } catch (error) {
        if (!(error instanceof WppError) || error.kind !== "not_found") throw error;
        this.#quirks.hasNoImages = true;
      }
    }
    return this.sendFile(to, url, "image.jpg");
  }

  async sendFile(to: string, url: string, fileName: string): Promise<WppSent> {
    return this.#send("file", { type: "file", to, url, filename: fileName });
  }

  /** This call alone still names the account. */
  async sendLocation(
    to: string,
    place: { latitude: number; longitude: number; name?: string; address?: string },
  ): Promise<WppSent> {
    const { latitude: lat, longitude: lng, name = "", address = "" } = place;
    return this.#send("location", { account: this.session, to, lat, lng, name, address });
  }

  /** False: it was gone already. */
  async deleteMessage(taskId: string): Promise<boolean> {
    try {
      const path = ["api", "messages", taskId];
      await this.#json({ name: "delete", method: "DELETE", path, repeat: "yes", isLoose: true });
      return true;
    } catch (error) {
      if (error instanceof WppError && (error.httpStatus === 400 || error.httpStatus === 404)) {
        return false;
      }
      throw error;
    }
  }

  /** `to`: digits; an empty emoji takes the reaction back. */
  async react(to: string, waMessageId: string, emoji: string): Promise<void> {
    const json = { to: `+${to}`, waMessageId, emoji };
    const path = ["api", "messages", "react"];
    const answer = await this.#json({ name: "react", method: "POST", path, json, repeat: "yes" });
    if (answer["status"] === "error") throw said("react", answer);
  }

  /** The file of a message. Throws WppError; reading may break off with any error. */
  async media(messageId: string): Promise<WppFile> {
    const path = ["api", "messages", "media", messageId];
    const answer = await this.#authorised(
      { name: "media", method: "GET", path, repeat: "yes" },
      (call) => this.#http.raw(call),
    );
    const disposition = answer.headers.get("content-disposition") ?? "";
    return {
      mimeType: answer.headers.get("content-type") ?? "application/octet-stream",
      fileName: /filename="([^"]*)"/i.exec(disposition)?.[1] || null,
      chunks: answer.body ?? new ReadableStream<Uint8Array>(),
    };
  }

  async #send(name: string, json: object): Promise<WppSent> {
    const path = ["api", "messages", name];
    const answer = await this.#json({ name, method: "POST", path, json, repeat: "no" });
    if (answer["status"] === "error" || answer["success"] === false) throw said(name, answer);
    return { taskId: textIn(answer["taskId"]) ?? textIn(answer["id"]) };
  }

  async #done(name: string, path: readonly string[], json: object): Promise<void> {
    await this.#json({ name, method: "POST", path, json, repeat: "yes", isLoose: true });
  }

  #json(call: Call): Promise<WppJson> {
    return this.#authorised(call, (authorised) => this.#http.json(authorised));
  }

  /** With the number's token; once more with a new one when it is refused. */
  async #authorised<Value>(
    call: Call,
    run: (call: WppCallInput) => Promise<Value>,
  ): Promise<Value> {
    const bearer = await this.#tokens.get();
    try {
      return await run({ ...call, bearer });
    } catch (error) {
      if (!(error instanceof WppError) || error.httpStatus !== 401) throw error;
      this.#tokens.drop(bearer);
      return run({ ...call, bearer: await this.#tokens.get() });
    }
  }
}

function wordOf(word: string | null): WppSessionWord {
  switch (word) {
    case "connected":
    case "ready":
      return "connected";
    case "starting":
    case "pending":
      return "starting";
    case null:
    case "offline":
    case "disconnected":
    case "logout":
      return "offline";
    default:
      return "qr";
  }
}

function qrIn(answer: WppJson): WppQr | null {
  const inner = Object(answer["data"]) as WppJson;
  return [answer["qr"], answer["qrCode"], answer["qrcode"], inner["qr"]].reduce<WppQr | null>(
    (found, one) => found ?? readWppQr(one),
    null,
  );
}

const REASON_LENGTH = 200;

/** The platform answered 200 and meant no. */
function said(name: string, answer: WppJson): WppError {
  const reason = textIn(answer["message"])?.slice(0, REASON_LENGTH) ?? "without a reason";
  return new WppError("refused", `the WPP Platform refuses ${name}: ${reason}`, {
    httpStatus: 200,
  });
}

/** Ids are texts, also where one is written as a number. */
function textIn(value: unknown): string | null {
  if (typeof value === "number") return String(value);
  return typeof value === "string" && value !== "" ? value : null;
}
