import type { PairingCodeAnswer, StatusAnswer } from "@manyline/contracts";

/** An answer that is no success: a problem+json, or no answer at all (`status` 0). */
export type Problem = {
  status: number;
  /** stable code, e.g. `RATE_LIMITED`; `NETWORK` without an answer */
  code: string;
  retryAfterSeconds: number | undefined;
  /** server time, ms */
  until: number | undefined;
  /** to be named when asking for help */
  reference: string | undefined;
  /** of `NO_OWNER`: an operator has paused the number */
  isPaused: boolean;
};

/** The same request may succeed later: no answer, too many, or the server's own trouble; 501 says that it never will. */
export function mayPass({ status }: Problem): boolean {
  return status === 0 || status === 429 || (status >= 500 && status !== 501);
}

export type Answer<Body> = { ok: true; body: Body } | { ok: false; problem: Problem };

export type LinkAnswer = { companyId: string; numberId: string; expiresAt: string };

/** The number the page is about. The cookie decides; naming the number guards against another page's cookie. */
export type Address = { companyId: string; numberId: string | undefined };

export type PairingApi = {
  exchange(token: string): Promise<Answer<LinkAnswer>>;
  status(address: Address): Promise<Answer<StatusAnswer>>;
  /** Reconnects a linked number; starts or joins a QR attempt of one that is not. */
  reconnect(address: Address): Promise<Answer<unknown>>;
  /** @param phoneNumber with plus */
  pairingCode(address: Address, phoneNumber: string): Promise<Answer<PairingCodeAnswer>>;
  cleanup(address: Address): Promise<Answer<unknown>>;
  eventsUrl(address: Address): string;
};

/** An answer that takes longer than this counts as none: the longest wait of the gateway is 25 s. */
const TIMEOUT_MS = 40_000;

/** The gateway's REST, by cookie. Never throws. */
export function createApi(base = "/api/whatsapp"): PairingApi {
  function url({ companyId, numberId }: Address, action: string): string {
    const query = numberId === undefined ? "" : `?number=${encodeURIComponent(numberId)}`;
    return `${base}/sessions/${encodeURIComponent(companyId)}/${action}${query}`;
  }
  return {
    exchange: (token) => ask(`${base}/link-exchange`, { token }),
    status: (address) => ask(url(address, "status")),
    reconnect: (address) => ask(url(address, "reconnect"), {}),
    pairingCode: (address, phoneNumber) => ask(url(address, "pairing-code"), { phoneNumber }),
    cleanup: (address) => ask(url(address, "cleanup"), {}),
    eventsUrl: (address) => url(address, "events"),
  };
}

async function ask<Body>(url: string, body?: unknown): Promise<Answer<Body>> {
  try {
    const response = await fetch(url, {
      method: body === undefined ? "GET" : "POST",
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        accept: "application/json",
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (response.ok) return { ok: true, body: (text ? JSON.parse(text) : undefined) as Body };
    return { ok: false, problem: readProblem(response, text) };
  } catch {
    return { ok: false, problem: noAnswer() };
  }
}

function readProblem(response: Response, text: string): Problem {
  const retryAfter = Number(response.headers.get("retry-after") ?? Number.NaN);
  const facts = parseObject(text);
  const until = typeof facts["until"] === "string" ? Date.parse(facts["until"]) : Number.NaN;
  return {
    status: response.status,
    code: typeof facts["code"] === "string" ? facts["code"] : `HTTP_${response.status}`,
    retryAfterSeconds: Number.isFinite(retryAfter) ? retryAfter : undefined,
    until: Number.isFinite(until) ? until : undefined,
    reference: typeof facts["requestId"] === "string" ? facts["requestId"] : undefined,
    isPaused: facts["isPaused"] === true,
  };
}

function noAnswer(): Problem {
  return {
    status: 0,
    code: "NETWORK",
    retryAfterSeconds: undefined,
    until: undefined,
    reference: undefined,
    isPaused: false,
  };
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
