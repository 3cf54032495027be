/**
 * A client of WPPConnect Server, for one session. Its token never ends, until the server's secret changes. Starting
 * tells the whole configuration: what the body lacks would be gone.
 */
import { readWppQr, type WppQr } from "@manyline/contracts";
import { WppError } from "./errors.ts";
import { type WppFigures, WppHttp, type WppJson } from "./http.ts";
import type { WppSessionWord, WppStarted } from "./platform.ts";

export type WppConnectFigures = WppFigures & { secret: string };

export class WppConnect {
  readonly #http: WppHttp;
  readonly #secret: string;

  constructor(figures: WppConnectFigures) {
    this.#http = new WppHttp(figures);
    this.#secret = figures.secret;
  }

  /** A token for this session alone. Throws WppError. */
  async token(session: string): Promise<string> {
    const path = ["api", session, this.#secret, "generate-token"];
    const answer = await this.#http
      .json({ name: "generate-token", method: "POST", path, json: {}, repeat: "yes" })
      .catch((error: unknown) => {
        if (!(error instanceof WppError) || error.httpStatus !== 400) throw error;
        throw new WppError("unauthorised", "WPPConnect Server refuses the secret", {
          httpStatus: 400,
        });
      });
    const { token } = answer;
    if (typeof token === "string" && token !== "") return token;
    throw new WppError("unreadable", "WPPConnect Server gave no token");
  }

  session(name: string, token: string): WppConnectSession {
    return new WppConnectSession(this.#http, name, token, () => this.token(name));
  }
}

export class WppConnectSession {
  readonly session: string;
  readonly #http: WppHttp;
  readonly #renew: () => Promise<string>;
  #token: string;

  constructor(http: WppHttp, session: string, token: string, renew: () => Promise<string>) {
    this.#http = http;
    this.session = session;
    this.#token = token;
    this.#renew = renew;
  }

  /** One that is on its way already is left alone. Throws WppError. */
  async start(webhookUrl: string | undefined): Promise<WppStarted> {
    const webhook = webhookUrl === undefined ? {} : { webhook: webhookUrl };
    const answer = await this.post("start-session", { ...webhook, waitQrCode: false }, "patient");
    const qr = qrIn(answer);
    if (qr) return { state: "qr", qr };
    const word = wordOf(answer["status"]);
    // A cold one answers that it is closed, and goes on starting.
    return { state: word === "offline" ? "starting" : word, qr: null };
  }

  async status(): Promise<WppSessionWord> {
    return wordOf((await this.get("status-session"))["status"]);
  }

  async qr(): Promise<WppQr | null> {
    return qrIn(await this.get("status-session"));
  }

  /** E.164 digits; null: not told. */
  async phone(): Promise<string | null> {
    const { response } = await this.get("get-phone-number");
    const digits = typeof response === "string" ? (response.split("@")[0] ?? "") : "";
    return /^[1-9][0-9]{5,14}$/.test(digits) ? digits : null;
  }

  /** Forgets the device. */
  async logout(): Promise<void> {
    await this.post("logout-session", {}, "yes");
  }

  async get(call: string, ...rest: readonly string[]): Promise<WppJson> {
    const path = ["api", this.session, call, ...rest];
    return this.#authorised((bearer) =>
      this.#http.json({ name: call, method: "GET", path, bearer, repeat: "yes" }),
    );
  }

  async post(call: string, json: object, repeat: "yes" | "no" | "patient"): Promise<WppJson> {
    const path = ["api", this.session, call];
    const isLoose = repeat !== "no";
    const answer = await this.#authorised((bearer) =>
      this.#http.json({ name: call, method: "POST", path, bearer, json, repeat, isLoose }),
    );
    const { status } = answer;
    if (typeof status === "string" && status.toLowerCase() === "error") {
      throw new WppError("refused", `WPPConnect Server refuses ${call}`, { httpStatus: 200 });
    }
    return answer;
  }

  /** Once more with a new token when this one is refused. */
  async #authorised<Value>(run: (bearer: string) => Promise<Value>): Promise<Value> {
    try {
      return await run(this.#token);
    } catch (error) {
      if (!(error instanceof WppError) || error.httpStatus !== 401) throw error;
      this.#token = await this.#renew();
      return run(this.#token);
    }
  }
}

function wordOf(status: unknown): WppSessionWord {
  switch (status) {
    case "CONNECTED":
      return "connected";
    case "QRCODE":
    case "qrcode":
    case "PHONECODE":
    case "phoneCode":
      return "qr";
    case "INITIALIZING":
      return "starting";
    default:
      return "offline";
  }
}

/** The text, where it is told: it can be drawn in any size. */
function qrIn({ status, urlcode, qrcode }: WppJson): WppQr | null {
  if (status === "CONNECTED") return null;
  return readWppQr(urlcode) ?? readWppQr(qrcode);
}
