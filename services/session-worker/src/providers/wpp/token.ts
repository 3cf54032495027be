/** The token of one number: asked for with its key, kept until shortly before its end, shared with no other number. */
import { setTimeout as sleep } from "node:timers/promises";
import { WppError } from "./errors.ts";
import type { WppFigures, WppHttp } from "./http.ts";

/** `expiresAt`: epoch ms. */
export type WppToken = { token: string; expiresAt: number };

/** What a token lives that does not say. */
const USUAL_LIFE_S = 900;
const MARGIN_MS = 60_000;
const ACTIVATION_MS = [1_000, 2_000];

export class TokenKeeper {
  readonly #http: WppHttp;
  readonly #apiKey: string;
  readonly #figures: WppFigures;
  readonly #onToken: ((token: WppToken) => void) | undefined;
  #held: (WppToken & { from: number }) | undefined;
  #asking: Promise<string> | undefined;

  /** `known`: a token that is kept from before. `onToken` is told each new one. */
  constructor(
    http: WppHttp,
    apiKey: string,
    figures: WppFigures,
    { known, onToken }: { known?: WppToken | undefined; onToken?: (token: WppToken) => void } = {},
  ) {
    this.#http = http;
    this.#apiKey = apiKey;
    this.#figures = figures;
    this.#onToken = onToken;
    if (known) this.#held = { ...known, from: this.#now() };
  }

  /** Asks once, however many want it. Throws WppError; `key_invalid` when the key is refused. */
  async get(): Promise<string> {
    const held = this.#held;
    if (held && this.#now() < renewAt(held, this.#figures.tokenMarginMs ?? MARGIN_MS)) {
      return held.token;
    }
    this.#asking ??= this.#ask().finally(() => (this.#asking = undefined));
    return this.#asking;
  }

  /** This one was refused. */
  drop(token: string): void {
    if (this.#held?.token === token) this.#held = undefined;
  }

  /**
   * The first token of a new key, which may not be active yet: three tries. `mayBeReused`: the organisation was not
   * made for this number alone, so that a refusal means that the key is somebody's already.
   */
  async first(mayBeReused: boolean): Promise<string> {
    const pauses = this.#figures.activationMs ?? ACTIVATION_MS;
    for (const [index, pause] of [...pauses, undefined].entries()) {
      try {
        return await this.get();
      } catch (error) {
        if (!(error instanceof WppError) || error.kind !== "key_invalid") throw error;
        if (pause === undefined) throw finalError(mayBeReused, index + 1, error);
        await sleep(pause);
      }
    }
    throw new Error("a new key was not tried");
  }

  async #ask(): Promise<string> {
    const answer = await this.#exchange();
    const { token } = answer;
    if (typeof token !== "string" || token === "") {
      throw new WppError("unreadable", "the WPP Platform gave no token");
    }
    const from = this.#now();
    const expiresAt = endOf(token, answer["expiresIn"], from);
    this.#held = { token, expiresAt, from };
    this.#onToken?.({ token, expiresAt });
    return token;
  }

  async #exchange(): Promise<Readonly<Record<string, unknown>>> {
    try {
      return await this.#http.json({
        name: "token",
        method: "POST",
        path: ["auth", "token"],
        json: { apiKey: this.#apiKey },
        repeat: "yes",
      });
    } catch (error) {
      if (!(error instanceof WppError) || error.kind !== "unauthorised") throw error;
      throw new WppError("key_invalid", "the WPP Platform refuses the key", {
        cause: error,
        ...(error.httpStatus === undefined ? {} : { httpStatus: error.httpStatus }),
      });
    }
  }

  #now(): number {
    return (this.#figures.now ?? Date.now)();
  }
}

function finalError(mayBeReused: boolean, tries: number, cause: WppError): WppError {
  const facts = {
    cause,
    ...(cause.httpStatus === undefined ? {} : { httpStatus: cause.httpStatus }),
  };
  return mayBeReused
    ? new WppError(
        "key_reused",
        `the key was refused ${tries} times: the platform gives each organisation one key, and this one is in use`,
        facts,
      )
    : new WppError(
        "key_not_active",
        `the new key was refused ${tries} times: it is not active yet`,
        facts,
      );
}

function renewAt({ expiresAt, from }: WppToken & { from: number }, marginMs: number): number {
  return Math.max(expiresAt - marginMs, from + (expiresAt - from) / 2);
}

/** By what the answer says, else by what the token says, else as long as tokens are known to live. */
function endOf(token: string, expiresIn: unknown, now: number): number {
  const seconds = Number(expiresIn);
  if (expiresIn !== null && expiresIn !== "" && seconds > 0 && Number.isFinite(seconds)) {
    return now + seconds * 1_000;
  }
  const exp = expOf(token);
  return exp !== undefined && exp * 1_000 > now ? exp * 1_000 : now + USUAL_LIFE_S * 1_000;
}

function expOf(token: string): number | undefined {
  try {
    const claims: unknown = JSON.parse(
      Buffer.from(token.split(".")[1] ?? "", "base64url").toString(),
    );
    const exp: unknown = Object(claims)["exp"];
    return typeof exp === "number" && Number.isFinite(exp) ? exp : undefined;
  } catch {
    return undefined;
  }
}
