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
  flowButtons: AskButtons,
  now: Date = new Date(),
): Promise<Send> {
  if (send.type === "template") {
    return withTokens(await withButtons(send, flowButtons), { fence, numberId }, store, now);
  }
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

/** The places of the buttons of a template that open a flow, as Meta knows it. */
type AskButtons = (template: { name: string; language: string }) => Promise<readonly string[]>;

/** A template with its button `flow`, if Meta says that it has one and whoever sends it does not name it. */
async function withButtons(send: Send, flowButtons: AskButtons): Promise<Send> {
  const { template } = send.content ?? {};
  const components: unknown[] = template?.components ?? [];
  if (!template || components.some(isFlowButton)) return send;
  const places = await flowButtons(template);
  if (places.length === 0) return send;
  const buttons = places.map((index) => ({ type: "button", sub_type: "flow", index }));
  const whole = { ...template, components: [...components, ...buttons] as Json[] };
  return { ...send, content: { ...send.content, template: whole } };
}

/**
 * A template's flow is Meta's to know. A button `flow` of it gets a token like any other flow; `flow` in the token is
 * the `flow_name` that is given with it, else the template's name.
 */
async function withTokens(
  send: Send,
  { fence, numberId }: Pick<NumberRef, "fence" | "numberId">,
  store: Pick<MetaStore, "flowToken">,
  now: Date,
): Promise<Send> {
  const { template } = send.content ?? {};
  const components: unknown[] = template?.components ?? [];
  if (!template || !components.some(isFlowButton)) return send;
  const whole: Json[] = [];
  for (const component of components) {
    const one = Object(component) as Json;
    if (!isFlowButton(one)) {
      whole.push(one);
      continue;
    }
    const [parameter] = Array.isArray(one["parameters"]) ? (one["parameters"] as unknown[]) : [];
    const given = Object(parameter) as Json;
    const { flow_name: name = template.name, ...action } = Object(given["action"]) as Json;
    action["flow_token"] ??= await store.flowToken(fence, {
      numberId,
      messageId: send.messageId,
      flow: String(name),
      expiresAt: new Date(now.getTime() + TOKEN_MS),
    });
    whole.push({ ...one, parameters: [{ type: "action", ...given, action }] });
  }
  return { ...send, content: { ...send.content, template: { ...template, components: whole } } };
}

const isFlowButton = (component: unknown): boolean => {
  const { type, sub_type: kind } = Object(component) as Json;
  return String(type).toLowerCase() === "button" && String(kind).toLowerCase() === "flow";
};

function defaultsOf({ action, screen }: FlowRow): Json {
  const payload = screen === null ? {} : { flow_action_payload: { screen } };
  return { flow_action: action, ...(action === "navigate" ? payload : {}) };
}
