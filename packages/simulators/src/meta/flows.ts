/** Flows: who has which, and phones on which people go through them. */
import { FlowRun, type FlowResult, type FlowStart, type FlowWire } from "./flow-run.ts";
import { decryptFlowAnswer, encryptFlowRequest } from "./flow-crypto.ts";
import type { SentMessage } from "./sending.ts";
import { metaJson, signatureOf } from "./signing.ts";
import type { BusinessNumber, Flow, MetaApp, MetaWorld } from "./world.ts";

export type FlowsOptions = {
  /** How long an endpoint has for an answer, ms; default 10,000, as at Meta. */
  timeoutMs: number;
};

export type OpenFlow = Partial<FlowStart> & { phoneNumberId: string; from: string; flowId: string };

type Reply = (
  phoneNumberId: string,
  from: string,
  message: { type: string } & Record<string, unknown>,
) => void;
/** Where and for whom requests go. */
type Line = { number: BusinessNumber; flow: Flow; app: MetaApp };

export class Flows {
  readonly runs = new Map<string, FlowRun>();
  readonly options: FlowsOptions;
  readonly #world: MetaWorld;
  readonly #sent: readonly SentMessage[];
  readonly #reply: Reply;
  /** Phones keep the key of a number until an endpoint says that it does not fit. */
  readonly #keys = new Map<string, string>();
  readonly #stopping = new AbortController();

  constructor(
    world: MetaWorld,
    sent: readonly SentMessage[],
    reply: Reply,
    options: Partial<FlowsOptions>,
  ) {
    this.#world = world;
    this.#sent = sent;
    this.#reply = reply;
    this.options = { timeoutMs: 10_000, ...options };
  }

  /** A person opens a flow. One that begins with `data_exchange` is at its first screen when this resolves. */
  async open(wish: OpenFlow): Promise<FlowRun> {
    const { phoneNumberId, from, flowId, token, messageId, action = "data_exchange" } = wish;
    const { screen = null, data = {} } = wish;
    const line = this.#line(phoneNumberId, flowId);
    const start = { token, action, screen, data, messageId };
    const run = new FlowRun(start, this.#wire(line), (result) => {
      const response = { ...(token === undefined ? {} : { flow_token: token }), ...result };
      const reply = { name: "flow", body: "Sent", response_json: JSON.stringify(response) };
      const context = { from: line.number.phone, id: messageId };
      this.#reply(phoneNumberId, from, {
        type: "interactive",
        interactive: { type: "nfm_reply", nfm_reply: reply },
        ...(messageId === undefined ? {} : { context }),
      });
    });
    this.runs.set(run.id, run);
    return action === "data_exchange" ? run.init() : run;
  }

  /** A person presses the button of a flow message or template that a number has sent. */
  async openSent(messageId: string): Promise<FlowRun> {
    const message = this.#sent.find(({ id }) => id === messageId);
    const wish = message && this.buttonOf(message);
    if (!wish) throw new RangeError(`${messageId} opens no flow`);
    if (this.isDisabled(messageId)) throw new RangeError(`the button of ${messageId} is disabled`);
    return this.open(wish);
  }

  /** An endpoint has said that the token counts no more. */
  isDisabled(messageId: string): boolean {
    const runs = [...this.runs.values()];
    return runs.some((run) => run.messageId === messageId && run.state === "disabled");
  }

  /** What pressing the button of a message opens; undefined: it has no such button. */
  buttonOf(message: SentMessage): OpenFlow | undefined {
    const { id: messageId, phoneNumberId, to: from, body } = message;
    const place = { messageId, phoneNumberId, from };
    if (message.type === "template") {
      const flowId = this.#templateFlow(message);
      return flowId === undefined ? undefined : { ...place, flowId, token: templateToken(body) };
    }
    const { type, action } = Object(body["interactive"]) as Record<string, unknown>;
    if (type !== "flow") return undefined;
    const parameters = Object(Object(action)["parameters"]) as Record<string, unknown>;
    const payload = Object(parameters["flow_action_payload"]) as Record<string, unknown>;
    const { flow_id: flowId, flow_token: token, flow_action: kind } = parameters;
    const { screen, data } = payload;
    return {
      ...place,
      flowId: typeof flowId === "string" ? flowId : "",
      token: typeof token === "string" ? token : undefined,
      action: kind === "data_exchange" ? "data_exchange" : "navigate",
      screen: typeof screen === "string" ? screen : null,
      data: typeof data === "object" && data !== null ? { ...data } : {},
    };
  }

  #templateFlow({ phoneNumberId, body }: SentMessage): string | undefined {
    const { name, language } = Object(body["template"]) as Record<string, unknown>;
    const { wabaId } = this.#world.numbers.get(phoneNumberId) ?? {};
    const template = this.#world.templates.find(
      (one) =>
        one.wabaId === wabaId && one.name === name && one.language === Object(language)["code"],
    );
    return template?.flowId ?? undefined;
  }

  /** Looks whether the endpoint lives, as Meta does now and then. */
  async ping(phoneNumberId: string, flowId: string): Promise<FlowResult> {
    return this.#wire(this.#line(phoneNumberId, flowId))({ version: "3.0", action: "ping" });
  }

  /** A phone that has never spoken with this number: it asks Meta for the key anew. */
  forgetKeys(): void {
    this.#keys.clear();
  }

  close(): void {
    this.#stopping.abort();
  }

  #line(phoneNumberId: string, flowId: string): Line {
    const number = this.#world.numbers.get(phoneNumberId);
    const flow = this.#world.flows.get(flowId);
    const app = flow && this.#world.apps.get(flow.appId);
    if (!number) throw new RangeError(`there is no number ${phoneNumberId}`);
    if (!flow || !app) throw new RangeError(`there is no flow ${flowId}`);
    if (flow.wabaId !== number.wabaId) throw new RangeError(`flow ${flowId} is another account's`);
    return { number, flow, app };
  }

  #wire(line: Line): FlowWire {
    return async (request) => {
      const first = await this.#post(line, request);
      if (first.status !== 421) return first;
      // The key may be an old one: it is fetched again, and the request repeated, once.
      this.#keys.delete(line.number.id);
      return this.#post(line, request);
    };
  }

  async #post({ number, flow, app }: Line, request: object): Promise<FlowResult> {
    const pem = this.#keys.get(number.id) ?? number.encryptionKey;
    if (pem === null) return { answer: undefined, status: 0, error: "public-key-missing" };
    this.#keys.set(number.id, pem);
    const { secret, body } = encryptFlowRequest(pem, request);
    const raw = metaJson(body);
    const limit = AbortSignal.timeout(this.options.timeoutMs);
    let status = 0;
    let text: string;
    try {
      const answer = await fetch(flow.endpointUrl, {
        method: "POST",
        redirect: "manual",
        body: new Uint8Array(raw),
        headers: {
          "content-type": "application/json",
          "user-agent": "facebookexternalua",
          "x-hub-signature-256": signatureOf(raw, app.secret),
        },
        signal: AbortSignal.any([limit, this.#stopping.signal]),
      });
      text = await answer.text();
      ({ status } = answer);
    } catch {
      const error = limit.aborted ? "timeout_error" : "no_http_response_error";
      return { answer: undefined, status: 0, error };
    }
    if (status !== 200) {
      const error = status === 421 ? "business-decryption-error" : "unexpected_http_status_code";
      return { answer: jsonOf(text), status, error };
    }
    try {
      return { answer: decryptFlowAnswer(secret, text), status };
    } catch {
      return { answer: undefined, status, error: "response-decryption-error" };
    }
  }
}

/** Meta gives the token `unused` to a button of a template that came without one. */
function templateToken(body: Record<string, unknown>): string {
  const { components } = Object(body["template"]) as Record<string, unknown>;
  const parts: unknown[] = Array.isArray(components) ? components : [];
  const button: unknown = parts.find((one) => Object(one)["sub_type"] === "flow");
  const token: unknown = Object(Object(button)["parameters"]?.[0]?.action)["flow_token"];
  return typeof token === "string" ? token : "unused";
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
