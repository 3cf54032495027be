/** What a decrypted request of a flow asks, and what a company's handler may answer. */
import { isObject, objectOf, textOf, type Json } from "../meta/json.ts";

export const FLOW_ACTIONS = ["INIT", "data_exchange", "BACK"] as const;
export type FlowAction = (typeof FLOW_ACTIONS)[number];

export type FlowCall =
  /** Meta looks whether the endpoint lives. */
  | { kind: "ping" }
  /** An answer of ours was of no use to the phone. */
  | { kind: "error"; error: string; message: string | null; token: string | null }
  /** For the company's handler. */
  | {
      kind: "screen";
      action: FlowAction;
      version: string;
      screen: string | null;
      data: Json;
      token: string | null;
    }
  /** An action that nobody has heard of. */
  | { kind: "unknown"; action: string | null };

export const FLOW_PONG = { data: { status: "active" } } as const;
export const FLOW_ACKNOWLEDGED = { data: { acknowledged: true } } as const;

/** Never throws; undefined for what is no JSON object. */
export function readFlowCall(plain: Uint8Array): FlowCall | undefined {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(plain));
  } catch {
    return undefined;
  }
  if (!isObject(value)) return undefined;
  const action = textOf(value["action"]);
  const token = textOf(value["flow_token"]);
  const data = objectOf(value["data"]);
  // Older clients write it in capitals.
  if (action?.toLowerCase() === "ping") return { kind: "ping" };
  const known = FLOW_ACTIONS.find((one) => one === action);
  if (known === undefined) return { kind: "unknown", action };
  const { error, error_message: message } = data;
  // A form may have a field named `error`, but hardly another named `error_message`.
  const isNotice =
    typeof error === "string" && (typeof message === "string" || isKnownFlowError(error));
  if (known !== "BACK" && isNotice) {
    return { kind: "error", error, message: textOf(message), token };
  }
  const screen = textOf(value["screen"]);
  return {
    kind: "screen",
    action: known,
    version: textOf(value["version"]) ?? "3.0",
    screen,
    data,
    token,
  };
}

/** What clients report, spelled as they spell it. */
const KNOWN_ERRORS = new Set([
  "timeout_error",
  "missing_capability",
  "cannot_be_served",
  "no_http_response_error",
  "unexpected_http_status_code",
  "public-key-missing",
  "public-key-signature-verification",
  "public-key-signiture-verification",
  "response-decryption-error",
  "invalid-screen-transition",
  "payload-schema-error",
  "business-decryption-error",
]);

/** One of Meta's own words, fit for a log. */
export function isKnownFlowError(error: string): boolean {
  return KNOWN_ERRORS.has(error);
}

export type FlowAnswer =
  | { screen: string; data: Json }
  /** The token counts no more: the button in the chat is disabled, and `message` is shown. */
  | { invalidToken: true; message: string };

/** Undefined: this is no answer. Keys that Meta does not know are left out. */
export function readFlowAnswer(value: unknown): FlowAnswer | undefined {
  if (!isObject(value)) return undefined;
  if (value["invalidToken"] === true) {
    return { invalidToken: true, message: textOf(value["message"]) ?? FLOW_ENDED };
  }
  const { screen, data } = value;
  if (typeof screen !== "string" || screen === "") return undefined;
  if (data !== undefined && !isObject(data)) return undefined;
  return { screen, data: data ?? {} };
}

export const FLOW_ENDED = "This form is no longer open.";
