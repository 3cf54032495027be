/** One flow through everything that runs: sent over REST, gone through on a simulated phone, answered, and told. */
import assert from "node:assert/strict";
import { askFlow, type FlowRequest, parseCompanyId } from "@manyline/contracts";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { createRest, type Rest } from "../src/rest.ts";

const PERSON = "79007654321";
const PATIENCE = { deadlineMs: 30_000 };

type Json = Record<string, unknown>;
const fields = (value: unknown): Json => Object(value) as Json;
const list = (value: unknown, name: string): Json[] => (fields(value)[name] as Json[]) ?? [];

export type FlowGround = {
  companyId: string;
  gatewayUrl: string;
  adminToken: string;
  ingestUrl: string;
  simulatorUrl: string;
  natsUrl: string;
};

export async function goThroughFlow(ground: FlowGround): Promise<void> {
  const { companyId } = ground;
  const rest = createRest(ground.gatewayUrl, ground.adminToken);
  const company = `/api/whatsapp/companies/${companyId}`;
  const control = async (method: "GET" | "POST", path: string, body?: object): Promise<Json> => {
    const answer = await fetch(`${ground.simulatorUrl}/control/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`);
    return fields(await answer.json());
  };

  const number = await metaNumber(rest, company);
  const { phoneNumberId, wabaId } = fields(number["meta"]);
  await rest("POST", `${company}/flow-keys`);
  const key = await rest("POST", `${company}/numbers/${String(number["id"])}/flow-key`);
  assert.equal(fields(key)["state"], "valid");
  const endpointUrl = `${ground.ingestUrl}/flows/${companyId}`;
  const { id: flowId } = await control("POST", "flows", { wabaId, endpointUrl });
  await rest("PUT", `${company}/flows/booking`, { flowId, action: "data_exchange" });
  await control("POST", "people", { phone: PERSON });
  await control("POST", "say", { phoneNumberId, from: PERSON, text: "a table, please" });

  const bus = createBus({
    servers: [ground.natsUrl],
    name: "handler",
    logger: createSilentLogger(),
  });
  try {
    const asked = await answerFlows(bus, companyId);
    const messages = `/api/whatsapp/sessions/${companyId}/messages?number=${String(number["id"])}`;
    const sent = fields(
      await rest("POST", messages, {
        type: "interactive",
        to: `+${PERSON}`,
        interactive: {
          type: "flow",
          body: { text: "Book a table" },
          action: { name: "flow", parameters: { flow_name: "booking", flow_cta: "Choose" } },
        },
      }),
    );
    const arrived = await until(
      async () =>
        list(await control("GET", "state"), "sent").find(
          ({ callbackData }) => callbackData === sent["messageId"],
        ),
      { ...PATIENCE, label: "the flow message at Meta" },
    );
    const { run, screen, data } = await control("POST", "flows/open", { messageId: arrived["id"] });
    assert.deepEqual([screen, data], ["DAY", { days: ["Mo", "Tu"] }]);
    const done = await control("POST", "flows/submit", { run, data: { day: "Tu" } });
    assert.deepEqual([done["state"], done["result"]], ["done", { day: "Tu" }]);
    assert.deepEqual(
      asked.map(({ action, sent: facts }) => [action, facts?.messageId, facts?.flow]),
      ["INIT", "data_exchange"].map((action) => [action, sent["messageId"], "booking"]),
    );
    const reply = await until(
      async () =>
        list(await rest("GET", messages), "messages").find(({ type }) => type === "flow_reply"),
      { ...PATIENCE, label: "the reply" },
    );
    const { response } = fields(reply["flowReply"]);
    assert.equal(fields(response)["day"], "Tu");
  } finally {
    await bus.close();
  }
}

async function metaNumber(rest: Rest, company: string): Promise<Json> {
  return until(
    async () =>
      list(await rest("GET", `${company}/numbers`), "numbers").find(
        ({ provider, status }) => provider === "meta" && status === "connected",
      ),
    { ...PATIENCE, label: "the number at Meta" },
  );
}

/** The company's handler. Returns what it is asked. */
async function answerFlows(
  bus: ReturnType<typeof createBus>,
  companyId: string,
): Promise<FlowRequest[]> {
  const asked: FlowRequest[] = [];
  const id = parseCompanyId(companyId);
  assert.ok(id && (await bus.waitConnected(5_000)));
  bus.subscribe(
    askFlow(id),
    (message) => {
      const request = JSON.parse(Buffer.from(message.data).toString()) as FlowRequest;
      asked.push(request);
      const reply =
        request.action === "INIT"
          ? { screen: "DAY", data: { days: ["Mo", "Tu"] } }
          : {
              screen: "SUCCESS",
              data: { extension_message_response: { params: { day: request.data["day"] } } },
            };
      message.respond(JSON.stringify(reply));
    },
    { queue: "handlers" },
  );
  // The server knows of the subscription once it has refused what was asked behind it.
  await bus.request("nobody.listens.here").catch(() => undefined);
  return asked;
}
