/** One call of the WPP Platform over HTTP, with its time limit and its repetitions. */
import { setTimeout as sleep } from "node:timers/promises";
import { errorOfSilence, errorOfStatus, WppError, type WppErrorKind } from "./errors.ts";

export type WppFigures = {
  /** Slashes at the end do not matter. */
  url: string;
  /** For one try, ms; default 30,000. */
  timeoutMs?: number;
  /** Pauses before the second and later tries, ms; default 300 and 1,000. */
  retryMs?: readonly number[];
  /** Pauses before the second and third try of a new key, ms; default 1,000 and 2,000. */
  activationMs?: readonly number[];
  /** A token is replaced so long before its end, or at half its life if that is later, ms; default 60,000. */
  tokenMarginMs?: number;
  now?: () => number;
};

export type WppCallInput = {
  /** For errors and logs. */
  name: string;
  method: "GET" | "POST" | "DELETE";
  /** Its parts are encoded here. */
  path: readonly string[];
  bearer?: string;
  json?: object;
  /**
   * Whether to do it twice does no harm. If not, it is tried again only where surely nothing has been done.
   * `patient`: as yes, but what took too long is not asked for again.
   */
  repeat: "yes" | "no" | "patient";
  /** Nothing depends on what is answered: a page of a proxy, or nothing at all, is as good as an empty object. */
  isLoose?: boolean;
};

export type WppJson = Readonly<Record<string, unknown>>;

const TIMEOUT_MS = 30_000;
const RETRY_MS = [300, 1_000];
const MOST_PAUSE_MS = 5_000;
/** A file of 20 MiB comes as text, a third longer. */
const ANSWER_BYTES = 30 * 1024 * 1024;
const AGAIN: ReadonlySet<WppErrorKind> = new Set(["unreachable", "gateway_timeout", "busy"]);

export class WppHttp {
  readonly #url: string;
  readonly #timeoutMs: number;
  readonly #retryMs: readonly number[];

  constructor({ url, timeoutMs = TIMEOUT_MS, retryMs = RETRY_MS }: WppFigures) {
    this.#url = url.replace(/\/+$/, "");
    this.#timeoutMs = timeoutMs;
    this.#retryMs = retryMs;
  }

  /** The JSON object that is answered. Throws WppError; `unreadable` for anything else: what was asked may be done. */
  async json(call: WppCallInput): Promise<WppJson> {
    return this.#repeated(call, async () => {
      const answer = await this.#try(call);
      const { status: httpStatus } = answer;
      const object = objectIn(await textOf(answer, call.name));
      if (object) return object;
      if (call.isLoose) return {};
      const message = `no answer that can be read came to ${call.name}`;
      throw new WppError("unreadable", message, { httpStatus, mayHaveLeft: true });
    });
  }

  /** The whole answer, whose body is still to be read. Throws WppError. */
  async raw(call: WppCallInput): Promise<Response> {
    return this.#repeated(call, () => this.#try(call));
  }

  async #repeated<Value>(call: WppCallInput, once: () => Promise<Value>): Promise<Value> {
    for (const pause of this.#retryMs) {
      try {
        return await once();
      } catch (error) {
        if (!(error instanceof WppError) || !mayRepeat(call, error)) throw error;
        await sleep(Math.min(error.retryAfterMs ?? pause, MOST_PAUSE_MS));
      }
    }
    return once();
  }

  async #try({ name, method, path, bearer, json }: WppCallInput): Promise<Response> {
    // Written as they are, they would lead to another call.
    if (path.some((part) => part === "." || part === "..")) {
      throw new WppError("not_found", `${name} names nothing`);
    }
    let answer: Response;
    try {
      answer = await fetch(`${this.#url}/${path.map(encodeURIComponent).join("/")}`, {
        method,
        redirect: "error",
        headers: {
          accept: "application/json",
          "content-type": "application/json",
          ...(bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }),
        },
        ...(json ? { body: JSON.stringify(json) } : {}),
        signal: AbortSignal.timeout(this.#timeoutMs),
      });
    } catch (error) {
      throw errorOfSilence(name, error);
    }
    if (answer.ok) return answer;
    await answer.body?.cancel();
    throw errorOfStatus(name, answer.status, answer.headers.get("retry-after"));
  }
}

function mayRepeat({ repeat }: WppCallInput, { kind, mayHaveLeft, httpStatus }: WppError): boolean {
  if (!AGAIN.has(kind)) return false;
  if (repeat === "no") return !mayHaveLeft;
  const tookTooLong = kind === "gateway_timeout" || (httpStatus === undefined && mayHaveLeft);
  return repeat === "yes" || !tookTooLong;
}

/** Read with the try's time limit still running; what is too long is cut off with the connection. */
async function textOf(answer: Response, name: string): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of answer.body ?? []) {
      length += chunk.length;
      if (length > ANSWER_BYTES) throw new RangeError("the answer is too long");
      chunks.push(chunk);
    }
  } catch (error) {
    throw errorOfSilence(name, error);
  }
  return Buffer.concat(chunks).toString();
}

function objectIn(text: string): WppJson | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const isObject = typeof value === "object" && value !== null && !Array.isArray(value);
    return isObject ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}
