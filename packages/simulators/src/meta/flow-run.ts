/** A flow on somebody's phone: screen by screen, until it is done, fails, or its button is disabled. */
import { randomBytes } from "node:crypto";

export type FlowState = "open" | "done" | "failed" | "disabled";

export type FlowExchange = {
  action: string;
  /** 0: no answer. */
  status: number;
  ms: number;
};

/** What came of one request. */
export type FlowResult = { answer: unknown; status: number; error?: string };

/** How a run speaks: encrypted, within the time, with the key that Meta has. */
export type FlowWire = (request: object) => Promise<FlowResult>;

export type FlowStart = {
  token: string | undefined;
  /** `data_exchange`: the first screen is asked for; `navigate`: it came with the message. */
  action: "navigate" | "data_exchange";
  screen: string | null;
  data: Record<string, unknown>;
  /** The message whose button was pressed. */
  messageId?: string | undefined;
};

const VERSION = "3.0";

export class FlowRun {
  readonly id = `run_${randomBytes(8).toString("hex")}`;
  readonly token: string | undefined;
  readonly messageId: string | undefined;
  readonly exchanges: FlowExchange[] = [];
  state: FlowState = "open";
  screen: string | null;
  /** What the screen was filled with. */
  data: Record<string, unknown>;
  /** What is shown to the person when it cannot go on. */
  message: string | null = null;
  /** As Meta names what went wrong. */
  error: string | null = null;
  /** Whether the endpoint has acknowledged that it was told of the error. */
  isAcknowledged = false;
  /** What the reply to the business holds, once it is done. */
  result: Record<string, unknown> | null = null;
  readonly #wire: FlowWire;
  readonly #onDone: (result: Record<string, unknown>) => void;

  constructor(start: FlowStart, wire: FlowWire, onDone: FlowRun["finish"]) {
    this.token = start.token;
    this.messageId = start.messageId;
    this.screen = start.screen;
    this.data = start.data;
    this.#wire = wire;
    this.#onDone = onDone;
  }

  /** The first screen of a flow that begins with a question to the endpoint. */
  init(): Promise<this> {
    return this.#exchange("INIT", {});
  }

  /** What the person has filled in. */
  submit(data: Record<string, unknown>): Promise<this> {
    return this.#exchange("data_exchange", data);
  }

  /** Back to a screen that is filled anew. */
  back(screen?: string): Promise<this> {
    if (screen !== undefined) this.screen = screen;
    return this.#exchange("BACK", {});
  }

  /** Ends it with this reply, as a last screen does that asks nobody. */
  finish(result: Record<string, unknown>): void {
    this.state = "done";
    this.result = result;
    this.#onDone(result);
  }

  async #exchange(action: string, data: Record<string, unknown>): Promise<this> {
    if (this.state !== "open") throw new Error(`the flow is ${this.state}`);
    const { answer, status, error } = await this.#ask(action, data);
    if (status === 427) {
      this.state = "disabled";
      const { error_msg: said } = Object(answer) as Record<string, unknown>;
      this.message = typeof said === "string" ? said : null;
    } else if (error === undefined) await this.#show(answer);
    else await this.#fail(error);
    return this;
  }

  async #ask(action: string, data: Record<string, unknown>): Promise<FlowResult> {
    const startedAt = performance.now();
    const token = this.token === undefined ? {} : { flow_token: this.token };
    const result = await this.#wire({
      version: VERSION,
      action,
      screen: this.screen ?? "",
      data,
      ...token,
    });
    const ms = Math.round(performance.now() - startedAt);
    this.exchanges.push({ action, status: result.status, ms });
    return result;
  }

  async #show(answer: unknown): Promise<void> {
    const { screen, data } = Object(answer) as Record<string, unknown>;
    const isScreen = typeof screen === "string" && typeof data === "object" && data !== null;
    if (!isScreen) return this.#fail("payload-schema-error");
    this.screen = screen;
    this.data = { ...data };
    if (screen !== "SUCCESS") return undefined;
    const { params } = Object(this.data["extension_message_response"]) as Record<string, unknown>;
    if (typeof params !== "object" || params === null) return this.#fail("payload-schema-error");
    this.finish({ ...params });
    return undefined;
  }

  /** The person sees that it failed; the endpoint is told. */
  async #fail(error: string): Promise<void> {
    this.state = "failed";
    this.error = error;
    const told = await this.#ask("data_exchange", { error, error_message: `${error} (simulated)` });
    const { data } = Object(told.answer) as Record<string, unknown>;
    this.isAcknowledged = Object(data)["acknowledged"] === true;
  }
}
