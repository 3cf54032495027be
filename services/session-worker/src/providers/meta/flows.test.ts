import assert from "node:assert/strict";
import { test } from "node:test";
import type { FlowRow, FlowTokenFacts, Send } from "@manyline/db";
import { UnwritableError } from "./contents.ts";
import { withFlow } from "./flows.ts";

const fence = { companyNo: 1, numberNo: 2, epoch: 3 };
const number = { fence, numberId: "num_1" };
const NOW = new Date("2026-11-21T12:00:00Z");

function storeWith(...flows: FlowRow[]) {
  const made: FlowTokenFacts[] = [];
  return {
    made,
    findFlow: (_fence: unknown, name: string) =>
      Promise.resolve(flows.find((flow) => flow.name === name)),
    flowToken: (_fence: unknown, facts: FlowTokenFacts) => {
      made.push(facts);
      return Promise.resolve("flt_made");
    },
  };
}
const flowOf = (name: string, more: Partial<FlowRow> = {}): FlowRow => ({
  name,
  flowId: `1${name.length}`,
  action: "data_exchange",
  screen: null,
  ...more,
});
const messageOf = (parameters: object): Send =>
  ({
    messageId: "msg_1",
    type: "interactive",
    content: {
      interactive: { type: "flow", body: { text: "Book" }, action: { name: "flow", parameters } },
    },
  }) as unknown as Send;
const parametersOf = ({ content }: Send): unknown => {
  const interactive = content?.interactive;
  assert.ok(interactive);
  return (interactive as { action: { parameters: unknown } }).action.parameters;
};

test("without a name the default flow is sent, with a token of the message", async () => {
  const store = storeWith(flowOf("default"), flowOf("booking"));
  const send = messageOf({ flow_cta: "Go" });
  const whole = await withFlow(send, number, store, noButtons, NOW);
  assert.deepEqual(parametersOf(whole), {
    flow_message_version: "3",
    flow_action: "data_exchange",
    flow_cta: "Go",
    flow_id: "17",
    flow_token: "flt_made",
  });
  assert.deepEqual(whole.content?.interactive?.["body"], { text: "Book" });
  assert.deepEqual(store.made, [
    {
      numberId: "num_1",
      messageId: "msg_1",
      flow: "default",
      expiresAt: new Date("2026-12-21T12:00:00Z"),
    },
  ]);
  assert.deepEqual(parametersOf(send), { flow_cta: "Go" });
});

const noButtons = async (): Promise<string[]> => [];

test("a name is ours or Meta's; what the sender sets, stays", async () => {
  const store = storeWith(flowOf("booking", { action: "navigate", screen: "FIRST" }));
  const named = await withFlow(messageOf({ flow_name: "booking" }), number, store, noButtons, NOW);
  assert.deepEqual(parametersOf(named), {
    flow_message_version: "3",
    flow_action: "navigate",
    flow_action_payload: { screen: "FIRST" },
    flow_id: "17",
    flow_token: "flt_made",
  });
  const mine = { flow_name: "booking", flow_token: "mine", flow_action: "data_exchange" };
  const set = parametersOf(
    await withFlow(messageOf(mine), number, store, noButtons, NOW),
  ) as typeof mine;
  assert.deepEqual([set.flow_token, set.flow_action], ["mine", "data_exchange"]);
  const theirs = await withFlow(messageOf({ flow_name: "at meta" }), number, store, noButtons, NOW);
  assert.equal((parametersOf(theirs) as typeof mine).flow_name, "at meta");
  const byId = await withFlow(
    messageOf({ flow_id: "9", flow_name: "booking" }),
    number,
    store,
    noButtons,
    NOW,
  );
  assert.equal((parametersOf(byId) as { flow_id: string }).flow_id, "9");
  await assert.rejects(withFlow(messageOf({}), number, store, noButtons, NOW), UnwritableError);
});

test("a button of a template that opens a flow gets a token as well", async () => {
  const store = storeWith();
  const template = (...components: object[]): Send =>
    ({
      messageId: "msg_1",
      type: "template",
      content: { template: { name: "offer", language: "en", components } },
    }) as unknown as Send;
  const componentsOf = (send: Send) => send.content?.template?.components;
  const body = { type: "body", parameters: [{ type: "text", text: "Ann" }] };
  const button = { type: "button", sub_type: "flow", index: "0" };
  const made = (index: string, action: object) => ({
    ...button,
    index,
    parameters: [{ type: "action", action: { ...action, flow_token: "flt_made" } }],
  });
  const bare = template(body, button, {
    ...button,
    sub_type: "FLOW",
    index: "1",
    parameters: [{ type: "action", action: { flow_name: "b", flow_action_data: { day: "Mo" } } }],
  });
  assert.deepEqual(componentsOf(await withFlow(bare, number, store, noButtons, NOW)), [
    body,
    made("0", {}),
    { ...made("1", { flow_action_data: { day: "Mo" } }), sub_type: "FLOW" },
  ]);
  assert.deepEqual(
    store.made.map(({ flow, messageId }) => [flow, messageId]),
    [
      ["offer", "msg_1"],
      ["b", "msg_1"],
    ],
  );
  const own = made("0", { flow_token: "mine" });
  own.parameters = [{ type: "action", action: { flow_token: "mine" } }];
  assert.deepEqual(componentsOf(await withFlow(template(own), number, store, noButtons, NOW)), [
    own,
  ]);
  const other = template(body, { ...button, sub_type: "quick_reply" });
  assert.equal(await withFlow(other, number, store, noButtons, NOW), other);
  assert.equal(store.made.length, 2);
});

test("what is no flow stays as it is", async () => {
  const store = storeWith();
  for (const send of [
    { type: "text", content: null },
    { type: "interactive", content: { interactive: { type: "button" } } },
  ] as unknown as Send[]) {
    assert.equal(await withFlow(send, number, store, noButtons, NOW), send);
  }
});
