/** Flows through everything that runs: sent over REST, gone through on a simulated phone, answered, and told. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  askFlow,
  type CompanyId,
  type FlowRequest,
  messageReceived,
  parseCompanyId,
} from "@manyline/contracts";
import { isSignedBy } from "@manyline/contracts/webhooks";
import { type Bus, createBus, createSilentLogger } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { createRest, type Rest } from "../src/rest.ts";

const PERSON = "79007654321";
const PATIENCE = { deadlineMs: 30_000 };
/** A company whose screens are filled at an address; the demo company's are over NATS. */
const AT_ADDRESS = "flow-salon";
const COMPANIES = "/api/whatsapp/companies";

type Json = Record<string, unknown>;
const fields = (value: unknown): Json => Object(value) as Json;
const list = (value: unknown, name: string): Json[] => (fields(value)[name] as Json[]) ?? [];

export type FlowGround = {
  companyId: string;
  gatewayUrl: string;
  adminToken: string;
  /** May call addresses of this machine. */
  ingestUrl: string;
  simulatorUrl: string;
  natsUrl: string;
};

type Tools = {
  rest: Rest;
  control: (method: "GET" | "POST", path: string, body?: object) => Promise<Json>;
  bus: Bus;
  ingestUrl: string;
};
/** A number with a key at Meta and a flow that asks our endpoint; `asked`: what its company's handler was. */
type Line = {
  companyId: CompanyId;
  numberId: string;
  phoneNumberId: string;
  wabaId: string;
  flowId: string;
  asked: FlowRequest[];
};

/** A flow message of a company that answers over NATS, and a template of one that answers at its address. */
export async function goThroughFlows(ground: FlowGround): Promise<void> {
  const rest = createRest(ground.gatewayUrl, ground.adminToken);
  const control: Tools["control"] = async (method, path, body) => {
    const answer = await fetch(`${ground.simulatorUrl}/control/${path}`, {
      method,
      headers: { "content-type": "application/json" },
      ...(body ? { body: JSON.stringify(body) } : {}),
    });
    assert.equal(answer.status, 200, `${path}: ${await answer.clone().text()}`);
    return fields(await answer.json());
  };
  const logger = createSilentLogger();
  const bus = createBus({ servers: [ground.natsUrl], name: "handler", logger });
  const tools = { rest, control, bus, ingestUrl: ground.ingestUrl };
  const address = createServer();
  try {
    assert.ok(await bus.waitConnected(5_000));
    await control("POST", "people", { phone: PERSON });
    const overNats = await openLine(tools, ground.companyId);
    await rest("PUT", `${COMPANIES}/${overNats.companyId}/flows/booking`, {
      flowId: overNats.flowId,
      action: "data_exchange",
    });
    await answerOverNats(tools, overNats);
    const parameters = { flow_name: "booking", flow_cta: "Choose" };
    const action = { name: "flow", parameters };
    const interactive = { type: "flow", body: { text: "Book a table" }, action };
    await goThrough(tools, overNats, "booking", { type: "interactive", interactive });

    await addCompany(tools);
    const atAddress = await openLine(tools, AT_ADDRESS);
    await answerAt(tools, atAddress, address);
    const { wabaId, flowId } = atAddress;
    await control("POST", "templates", { wabaId, name: "offer", flowId });
    const template = { name: "offer", language: "en_US" };
    const before = overNats.asked.length;
    await goThrough(tools, atAddress, "offer", { type: "template", template });
    assert.equal(overNats.asked.length, before, "the other company was asked");
  } finally {
    address.closeAllConnections();
    address.close();
    await bus.close();
  }
}

/** A company with a number of the simulated Meta. */
async function addCompany({ rest, control }: Tools): Promise<void> {
  await rest("POST", COMPANIES, { id: AT_ADDRESS, name: "Flow Salon" });
  const appId = list(await control("GET", "state"), "apps")[0]?.["id"];
  const { number, waba, token } = await control("POST", "lines", { appId });
  await rest("POST", `${COMPANIES}/${AT_ADDRESS}/numbers`, {
    provider: "meta",
    phoneNumberId: fields(number)["id"],
    wabaId: fields(waba)["id"],
    accessToken: fields(token)["token"],
  });
}

async function openLine({ rest, control, ingestUrl }: Tools, id: string): Promise<Line> {
  const companyId = parseCompanyId(id);
  assert.ok(companyId);
  const company = `${COMPANIES}/${companyId}`;
  const number = await until(
    async () =>
      list(await rest("GET", `${company}/numbers`), "numbers").find(
        ({ provider, status }) => provider === "meta" && status === "connected",
      ),
    { ...PATIENCE, label: `the number of ${companyId} at Meta` },
  );
  const numberId = String(number["id"]);
  const { phoneNumberId, wabaId } = fields(number["meta"]) as { [name: string]: string };
  assert.ok(phoneNumberId !== undefined && wabaId !== undefined);
  await rest("POST", `${company}/flow-keys`);
  const key = await rest("POST", `${company}/numbers/${numberId}/flow-key`);
  assert.equal(fields(key)["state"], "valid");
  const endpointUrl = `${ingestUrl}/flows/${companyId}`;
  const flow = await control("POST", "flows", { wabaId, endpointUrl });
  await control("POST", "say", { phoneNumberId, from: PERSON, text: "a table, please" });
  return { companyId, numberId, phoneNumberId, wabaId, flowId: String(flow["id"]), asked: [] };
}

/** The screens of a flow that books a table. */
function screenFor({ action, data }: FlowRequest): object {
  if (action === "INIT") return { screen: "DAY", data: { days: ["Mo", "Tu"] } };
  if (action === "BACK") return { screen: "DAY", data: { days: ["We"] } };
  if (data["day"] === "Mo") return { screen: "DAY", data: { error_message: "taken" } };
  const params = { day: data["day"] };
  return { screen: "SUCCESS", data: { extension_message_response: { params } } };
}

async function answerOverNats({ bus }: Tools, { companyId, asked }: Line): Promise<void> {
  bus.subscribe(
    askFlow(companyId),
    (message) => {
      const request = JSON.parse(Buffer.from(message.data).toString()) as FlowRequest;
      asked.push(request);
      message.respond(JSON.stringify(screenFor(request)));
    },
    { queue: "handlers" },
  );
  // The server knows of the subscription once it has refused what was asked behind it.
  await bus.request("nobody.listens.here").catch(() => undefined);
}

async function answerAt(
  { rest }: Tools,
  { companyId, asked }: Line,
  server: ReturnType<typeof createServer>,
): Promise<void> {
  let secret = "";
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const raw = Buffer.concat(await request.toArray());
    const headers = request.headers as Record<string, string>;
    if (!isSignedBy(secret, headers, raw, new Date())) {
      response.writeHead(401).end();
      return;
    }
    const body = JSON.parse(raw.toString()) as FlowRequest;
    asked.push(body);
    response.end(JSON.stringify(screenFor(body)));
  };
  server.on("request", (...exchange) => void answer(...exchange));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/flows`;
  const path = `${COMPANIES}/${companyId}/flow-handler`;
  secret = String(fields(await rest("PUT", path, { kind: "https", url }))["secret"]);
}

/** Sends the message, presses its button, goes to and fro, sends off; and sees the reply told. */
async function goThrough(tools: Tools, line: Line, flow: string, message: object): Promise<void> {
  const { rest, control, bus } = tools;
  const { companyId, numberId, asked } = line;
  const told: Json[] = [];
  const replies = bus.subscribe(`${messageReceived.type}.${companyId}.${numberId}`, ({ data }) => {
    const event = fields(fields(JSON.parse(Buffer.from(data).toString()))["data"]);
    if (event["type"] === "flow_reply") told.push(event);
  });
  const messages = `/api/whatsapp/sessions/${companyId}/messages?number=${numberId}`;
  const { messageId } = fields(await rest("POST", messages, { to: `+${PERSON}`, ...message }));
  const sent = await until(
    async () =>
      list(await control("GET", "state"), "sent").find(
        ({ callbackData }) => callbackData === messageId,
      ),
    { ...PATIENCE, label: `the ${flow} message at Meta` },
  );
  const token = /"flow_token":"([^"]+)"/.exec(JSON.stringify(sent["body"]))?.[1];
  assert.ok(token);

  const { run, ...first } = await control("POST", "flows/open", { messageId: sent["id"] });
  assert.deepEqual([first["screen"], first["data"]], ["DAY", { days: ["Mo", "Tu"] }]);
  const submit = (day: string) => control("POST", "flows/submit", { run, data: { day } });
  assert.deepEqual((await submit("Mo"))["data"], { error_message: "taken" });
  assert.deepEqual((await control("POST", "flows/back", { run }))["data"], { days: ["We"] });
  const done = await submit("We");
  assert.deepEqual([done["state"], done["result"]], ["done", { day: "We" }]);
  assert.deepEqual(
    asked.map(({ action, flowToken, sent: facts }) => [action, flowToken, facts?.messageId]),
    ["INIT", "data_exchange", "BACK", "data_exchange"].map((action) => [action, token, messageId]),
  );
  assert.ok(asked.every(({ sent: facts }) => facts?.flow === flow && facts.numberId === numberId));

  const reply = await until(() => told[0], { ...PATIENCE, label: `the reply to ${flow}` });
  const { response, token: returned } = fields(reply["flowReply"]);
  assert.deepEqual([returned, response], [token, { flow_token: token, day: "We" }]);
  assert.equal(fields(reply["context"])["messageId"], messageId);
  const listed = list(await rest("GET", messages), "messages");
  assert.equal(listed.filter(({ type }) => type === "flow_reply").length, 1);
  await replies.close();
}
