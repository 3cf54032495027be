/** Asks a company's handler for a screen: over NATS, or at its own address. */
import { askFlow, FLOW_FIGURES, parseCompanyId, type FlowRequest } from "@manyline/contracts";
import { FLOW_ENDED, type FlowAnswer, readFlowAnswer } from "@manyline/contracts/flows";
import { signedHeaders } from "@manyline/contracts/webhooks";
import type { FlowHandler } from "@manyline/db";
import {
  type AddressGuard,
  type Bus,
  type Clock,
  FetchRefused,
  guardedPost,
} from "@manyline/runtime";

/** `absent`: nobody is there to ask. `late`: no answer in time. `broken`: it is no answer. */
export type HandlerFailure = "absent" | "late" | "broken";

export class HandlerError extends Error {
  override name = "HandlerError";
  readonly failure: HandlerFailure;

  constructor(failure: HandlerFailure, options?: ErrorOptions) {
    super(`the handler of a flow: ${failure}`, options);
    this.failure = failure;
  }
}

export type AskerOptions = { bus: Bus; clock: Clock; guard: AddressGuard; timeoutMs: number };

const INVALID_TOKEN = 427;
const MESSAGE_LENGTH = 500;

export class FlowAsker {
  readonly #options: AskerOptions;

  constructor(options: AskerOptions) {
    this.#options = options;
  }

  /** Throws HandlerError. */
  async ask(handler: FlowHandler, request: FlowRequest): Promise<FlowAnswer> {
    const answer =
      handler.kind === "nats" ? await this.#byNats(request) : await this.#byPost(handler, request);
    if (!answer) throw new HandlerError("broken");
    return answer;
  }

  async #byNats(request: FlowRequest): Promise<FlowAnswer | undefined> {
    const { bus, timeoutMs } = this.#options;
    const companyId = parseCompanyId(request.companyId);
    if (companyId === undefined) throw new HandlerError("absent");
    try {
      const { data } = await bus.request(askFlow(companyId), JSON.stringify(request), {
        timeoutMs,
      });
      return readFlowAnswer(jsonOf(Buffer.from(data)));
    } catch (error) {
      const isLate = error instanceof Error && error.name === "RequestTimeout";
      throw new HandlerError(isLate ? "late" : "absent", { cause: error });
    }
  }

  /** Signed as https://www.standardwebhooks.com says. */
  async #byPost(
    { url, secret }: FlowHandler & { kind: "https" },
    request: FlowRequest,
  ): Promise<FlowAnswer | undefined> {
    const { guard, timeoutMs, clock } = this.#options;
    const body = Buffer.from(JSON.stringify(request));
    try {
      const reply = await guardedPost(url, {
        guard,
        timeoutMs,
        body,
        maxBytes: FLOW_FIGURES.answerBytes,
        headers: {
          "content-type": "application/json",
          accept: "application/json",
          ...signedHeaders([secret], request.id, clock.now(), body),
        },
      });
      const value = jsonOf(reply.body);
      if (reply.status === INVALID_TOKEN) return endedBy(value);
      return reply.status === 200 ? readFlowAnswer(value) : undefined;
    } catch (error) {
      const reason = error instanceof FetchRefused ? error.reason : undefined;
      if (reason === "too_large") return undefined;
      throw new HandlerError(reason === "timeout" ? "late" : "absent", { cause: error });
    }
  }
}

/** The status that Meta itself knows for it. */
function endedBy(value: unknown): FlowAnswer {
  const said = Object(value) as Record<string, unknown>;
  const message = said["message"] ?? said["error_msg"];
  const isText = typeof message === "string" && message !== "";
  return { invalidToken: true, message: isText ? message.slice(0, MESSAGE_LENGTH) : FLOW_ENDED };
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString());
  } catch {
    return undefined;
  }
}
