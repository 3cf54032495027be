/** SMS through one port: Twilio, and a provider of any kind that takes JSON. */
import { outcomeOfStatus, type SendOutcome, type SendResult } from "./outcome.ts";

/** `to`: E.164 digits. `id`: the same for each try of one SMS. After `lifeMs` nobody wants it any more. */
export type Sms = { id: string; to: string; text: string; lifeMs: number };

export type SmsProvider = { send(sms: Sms, signal: AbortSignal): Promise<SendResult> };

export type TwilioOptions = {
  url: string;
  accountSid: string;
  authToken: string;
  /** A number with its plus, a name, or the id of a messaging service (`MG…`). */
  from: string;
};

/** Twilio's own numbers for what an HTTP status leaves open. */
const TWILIO_CODES: Readonly<Record<number, SendOutcome>> = {
  20003: "unauthorised",
  20005: "unauthorised",
  20429: "throttled",
  14107: "throttled",
  21211: "wrong_address",
  21214: "wrong_address",
  21217: "wrong_address",
  21265: "wrong_address",
  21408: "wrong_address",
  21610: "wrong_address",
  21612: "wrong_address",
  21614: "wrong_address",
};

/** Twilio ends what still waits in its queue after `ValidityPeriod` seconds, at most 10 hours. */
const LONGEST_VALIDITY_S = 36_000;

export function createTwilio({ url, accountSid, authToken, from }: TwilioOptions): SmsProvider {
  const address = `${url.replace(/\/+$/, "")}/2010-04-01/Accounts/${accountSid}/Messages.json`;
  const authorization = `Basic ${Buffer.from(`${accountSid}:${authToken}`).toString("base64")}`;
  return {
    send: async ({ to, text, lifeMs }, signal) => {
      const seconds = Math.min(LONGEST_VALIDITY_S, Math.max(1, Math.floor(lifeMs / 1_000)));
      const body = new URLSearchParams({
        To: `+${to}`,
        [from.startsWith("MG") ? "MessagingServiceSid" : "From"]: from,
        Body: text,
        ValidityPeriod: String(seconds),
      });
      return post(address, { headers: { authorization }, body }, signal, (answer) => {
        const { code } = Object(answer) as { code?: unknown };
        return typeof code === "number"
          ? { outcome: TWILIO_CODES[code], code: String(code) }
          : undefined;
      });
    },
  };
}

/**
 * POST `{"id","to":"+…","text","validitySeconds"}` with a bearer token and `idempotency-key`. 2xx: taken; 404 and 422:
 * nobody has this number; 401, 403; 429 with `retry-after`; 5xx.
 */
export function createHttpSms({
  url,
  token,
}: {
  url: string;
  token: string | undefined;
}): SmsProvider {
  return {
    send: async ({ id, to, text, lifeMs }, signal) => {
      const headers = {
        "content-type": "application/json",
        "idempotency-key": id,
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      };
      const validitySeconds = Math.max(1, Math.floor(lifeMs / 1_000));
      const body = JSON.stringify({ id, to: `+${to}`, text, validitySeconds });
      return post(url, { headers, body }, signal, (_answer, status) =>
        status === 404 || status === 422
          ? { outcome: "wrong_address", code: String(status) }
          : undefined,
      );
    },
  };
}

type Reading = { outcome: SendOutcome | undefined; code: string } | undefined;

const ANSWER_BYTES = 64 * 1024;

async function post(
  url: string,
  { headers, body }: { headers: Record<string, string>; body: string | URLSearchParams },
  signal: AbortSignal,
  read: (answer: unknown, status: number) => Reading,
): Promise<SendResult> {
  let response: Response;
  try {
    response = await fetch(url, { method: "POST", headers, body, signal, redirect: "manual" });
  } catch (error) {
    return { outcome: isBeforeConnection(error) ? "down" : "unclear", code: codeOf(error) };
  }
  const { status } = response;
  if (status >= 200 && status < 300) {
    await response.body?.cancel().catch(() => undefined);
    return { outcome: "sent", code: null };
  }
  const reading = read(await answerOf(response), status);
  const retryAfter = Number(response.headers.get("retry-after"));
  return {
    outcome: reading?.outcome ?? outcomeOfStatus(status),
    code: reading?.code ?? String(status),
    ...(retryAfter > 0 ? { retryAfterMs: retryAfter * 1_000 } : {}),
  };
}

async function answerOf(response: Response): Promise<unknown> {
  try {
    const text = await response.text();
    return text.length > ANSWER_BYTES ? undefined : (JSON.parse(text) as unknown);
  } catch {
    return undefined;
  }
}

const NOT_CONNECTED = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);

function isBeforeConnection(error: unknown): boolean {
  return NOT_CONNECTED.has(codeOf(error) ?? "");
}

/** The system's word for what went wrong; no text of an error is kept, it may repeat what was sent. */
export function codeOf(error: unknown): string | null {
  const { code, cause, name } = Object(error) as {
    code?: unknown;
    cause?: unknown;
    name?: unknown;
  };
  if (typeof code === "string") return code;
  if (cause !== undefined) return codeOf(cause);
  return typeof name === "string" ? name : null;
}
