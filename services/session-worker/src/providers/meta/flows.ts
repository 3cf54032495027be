/** A flow message, made whole: which flow, and a token that says whose it is. */
import { DEFAULT_FLOW, FLOW_FIGURES } from "@manyline/contracts";
import type { FlowRow, Send } from "@manyline/db";
import type { NumberRef } from "../provider.ts";
import { UnwritableError } from "./contents.ts";
import type { MetaStore } from "./store.ts";

type Json = Record<string, unknown>;

const TOKEN_MS = FLOW_FIGURES.tokenDays * 86_400_000;
const MESSAGE_VERSION = "3";

/**
 * The message as it is to be sent. Of what Meta wants, whoever sends it may leave out the flow's id (the name decides:
 * the company's own flow, else the one of all), its action and the token. Throws UnwritableError without a flow.
 */
export async function withFlow(
  send: Send,
  { fence, numberId }: Pick<NumberRef, "fence" | "numberId">,
  store: Pick<MetaStore, "findFlow" | "flowToken">,
  now: Date = new Date(),
): Promise<Send> {
  const interactive = send.content?.interactive;
  if (send.type !== "interactive" || interactive?.["type"] !== "flow") return send;
  const action = Object(interactive["action"]) as Json;
  const given = Object(action["parameters"]) as Json;
  const name = given["flow_id"] === undefined ? (given["flow_name"] ?? DEFAULT_FLOW) : undefined;
  const flow = typeof name === "string" ? await store.findFlow(fence, name) : undefined;
  if (!flow && given["flow_id"] === undefined && given["flow_name"] === undefined) {
    throw new UnwritableError("no flow is named, and none is the default");
  }
  const { flow_name: _, ...others } = given;
  const named = flow ? { ...defaultsOf(flow), ...others, flow_id: flow.flowId } : given;
  const token =
    given["flow_token"] ??
    (await store.flowToken(fence, {
      numberId,
      messageId: send.messageId,
      flow: String(name ?? given["flow_id"]),
      expiresAt: new Date(now.getTime() + TOKEN_MS),
    }));
  const parameters = { flow_message_version: MESSAGE_VERSION, ...named, flow_token: token };
  const whole = { ...interactive, action: { name: "flow", ...action, parameters } };
  return { ...send, content: { ...send.content, interactive: whole } };
}

function defaultsOf({ action, screen }: FlowRow): Json {
  const payload = screen === null ? {} : { flow_action_payload: { screen } };
  return { flow_action: action, ...(action === "navigate" ? payload : {}) };
}
