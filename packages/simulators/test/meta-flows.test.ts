/** The simulated phone goes through flows as WhatsApp does: key, signature, time, and what it does when they fail. */
import assert from "node:assert/strict";
import {
  constants,
  createCipheriv,
  createDecipheriv,
  generateKeyPairSync,
  privateDecrypt,
} from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { until } from "@manyline/testkit";
import {
  type BusinessNumber,
  type Flow,
  type MetaApp,
  type MetaSimulator,
  signatureOf,
  startMetaSimulator,
} from "../src/meta/index.ts";

type Json = Record<string, unknown>;
const keys = () =>
  generateKeyPairSync("rsa", {
    modulusLength: 2_048,
    publicKeyEncoding: { type: "spki", format: "pem" },
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
  });
const [ours, others] = [keys(), keys()];
const ANN = "15550100019";

let server: Server;
let endpointUrl: string;
let meta: MetaSimulator;
let app: MetaApp;
let number: BusinessNumber;
let token: string;
let flow: Flow;
/** What came, and what is answered to it. */
let asked: Json[] = [];
let messages: Json[] = [];
let work: (request: Json) => { body?: object; status?: number; delayMs?: number; iv?: "kept" };

async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const raw = Buffer.concat((await request.toArray()) as Buffer[]);
  const body = JSON.parse(raw.toString()) as Record<string, string>;
  if (request.url === "/hook") {
    const { entry } = JSON.parse(raw.toString()) as {
      entry: { changes: { value: { messages?: Json[] } }[] }[];
    };
    for (const { changes } of entry) {
      messages.push(...changes.flatMap(({ value }) => value.messages ?? []));
    }
    response.end();
    return;
  }
  assert.equal(request.headers["x-hub-signature-256"], signatureOf(raw, app.secret));
  const bytes = (name: string): Buffer => Buffer.from(body[name] ?? "", "base64");
  const iv = bytes("initial_vector");
  let key: Buffer;
  try {
    const padding = constants.RSA_PKCS1_OAEP_PADDING;
    const wrapping = { key: ours.privateKey, padding, oaepHash: "sha256" };
    key = privateDecrypt(wrapping, bytes("encrypted_aes_key"));
  } catch {
    response.writeHead(421).end();
    return;
  }
  const data = bytes("encrypted_flow_data");
  const decipher = createDecipheriv("aes-128-gcm", key, iv);
  decipher.setAuthTag(data.subarray(-16));
  const plain = Buffer.concat([decipher.update(data.subarray(0, -16)), decipher.final()]);
  const wish = JSON.parse(plain.toString()) as Json;
  asked.push(wish);
  const answer = work(wish);
  const back = answer.iv === "kept" ? iv : Buffer.from(iv.map((byte) => byte ^ 0xff));
  const cipher = createCipheriv("aes-128-gcm", key, back);
  const sealed = [cipher.update(JSON.stringify(answer.body ?? {})), cipher.final()];
  const text = Buffer.concat([...sealed, cipher.getAuthTag()]).toString("base64");
  const isPlain = answer.status !== undefined && answer.status !== 200;
  setTimeout(() => {
    response.writeHead(answer.status ?? 200).end(isPlain ? JSON.stringify(answer.body) : text);
  }, answer.delayMs ?? 0).unref();
}

before(async () => {
  server = createServer((request, response) => {
    void serve(request, response);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  endpointUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/flows`;
});
after(() => {
  server.closeAllConnections();
  server.close();
});
beforeEach(async () => {
  [asked, messages] = [[], []];
  work = () => ({ body: { data: { acknowledged: true } } });
  meta = await startMetaSimulator({ deliveries: { gatherMs: 2 }, flows: { timeoutMs: 200 } });
  app = meta.world.addApp({ callbackUrl: endpointUrl.replace("/flows", "/hook") });
  const line = meta.world.addLine({ appId: app.id });
  ({ number } = line);
  ({ token } = line.token);
  flow = meta.world.addFlow({ wabaId: number.wabaId, endpointUrl });
  number.encryptionKey = ours.publicKey;
});
afterEach(() => meta.close());

const open = () =>
  meta.flows.open({ phoneNumberId: number.id, from: ANN, flowId: flow.id, token: "t1" });

test("the key goes up by the Graph API, is read back, and is doubtful after registering anew", async () => {
  const path = `${meta.url}/v26.0/${number.id}`;
  const headers = { authorization: `Bearer ${token}` };
  const put = async (key: string) => {
    const body = new URLSearchParams({ business_public_key: key });
    const url = `${path}/whatsapp_business_encryption`;
    return (await fetch(url, { method: "POST", headers, body })).status;
  };
  const read = async () => {
    const answer = await fetch(`${path}/whatsapp_business_encryption`, { headers });
    return ((await answer.json()) as { data: Json[] }).data;
  };
  number.encryptionKey = null;
  assert.deepEqual(await read(), []);
  for (const wrong of ["", "-----BEGIN PUBLIC KEY-----\nx\n-----END PUBLIC KEY-----"]) {
    assert.equal(await put(wrong), 400);
  }
  assert.equal(await put(others.publicKey), 200);
  const shown = { business_public_key: others.publicKey };
  assert.deepEqual(await read(), [{ ...shown, business_public_key_signature_status: "VALID" }]);
  await fetch(`${path}/register`, { method: "POST", headers });
  assert.deepEqual(await read(), [{ ...shown, business_public_key_signature_status: "MISMATCH" }]);
});

test("over the control API a flow is gone through, and its reply comes as a message", async () => {
  const control = async (path: string, body: object) => {
    const url = `${meta.url}/control/${path}`;
    const answer = await fetch(url, { method: "POST", body: JSON.stringify(body) });
    return (await answer.json()) as Json;
  };
  work = ({ action, data }) => {
    if (action === "ping") return { body: { data: { status: "active" } } };
    if (action === "data_exchange") {
      const params = { ...(data as Json), ok: true };
      return { body: { screen: "SUCCESS", data: { extension_message_response: { params } } } };
    }
    return { body: { screen: "FIRST", data: { action } } };
  };
  const where = { phoneNumberId: number.id, flowId: flow.id };
  assert.deepEqual((await control("flows/ping", where))["answer"], { data: { status: "active" } });
  const opened = await control("flows/open", { ...where, from: ANN, token: "t1" });
  const { run } = opened;
  assert.deepEqual([opened["screen"], opened["data"]], ["FIRST", { action: "INIT" }]);
  assert.deepEqual((await control("flows/back", { run }))["data"], { action: "BACK" });
  const done = await control("flows/submit", { run, data: { name: "Zoë" } });
  assert.deepEqual([done["state"], done["result"]], ["done", { name: "Zoë", ok: true }]);
  await until(() => messages.length === 1);
  const [message] = messages;
  assert.ok(message);
  const reply = (message["interactive"] as { nfm_reply: Json }).nfm_reply;
  assert.deepEqual(JSON.parse(String(reply["response_json"])), {
    flow_token: "t1",
    name: "Zoë",
    ok: true,
  });
  assert.equal((await control("flows/submit", { run, data: {} }))["state"], undefined);
});

test("a key that does not fit is fetched again, once", async () => {
  work = () => ({ body: { screen: "A", data: {} } });
  number.encryptionKey = others.publicKey;
  const never = await open();
  assert.deepEqual([never.state, never.error], ["failed", "business-decryption-error"]);
  assert.deepEqual(asked, []);
  // The phone has seen the wrong key; Meta has the right one by now.
  number.encryptionKey = ours.publicKey;
  assert.equal((await open()).state, "open");
  number.encryptionKey = null;
  meta.flows.forgetKeys();
  assert.equal((await open()).error, "public-key-missing");
});

test("what an endpoint does wrong is told to it by its name", async () => {
  const notice = (): Json => (asked.at(-1)?.["data"] ?? {}) as Json;
  for (const [answer, error] of [
    [{ delayMs: 600 }, "timeout_error"],
    [{ status: 500 }, "unexpected_http_status_code"],
    [{ iv: "kept", body: { screen: "A", data: {} } }, "response-decryption-error"],
    [{ body: { data: {} } }, "payload-schema-error"],
    [{ body: { screen: "SUCCESS", data: {} } }, "payload-schema-error"],
  ] as const) {
    work = ({ data }) =>
      (data as Json)["error"] === undefined ? answer : { body: { data: { acknowledged: true } } };
    const run = await open();
    assert.deepEqual([run.state, run.error, run.isAcknowledged], ["failed", error, true]);
    assert.equal(notice()["error"], error);
  }
  work = () => ({ status: 427, body: { error_msg: "too late" } });
  const run = await open();
  assert.deepEqual([run.state, run.message], ["disabled", "too late"]);
  await assert.rejects(run.submit({}), /disabled/);
});

/** Sends Ann this message. Answers its id. */
async function sendPart(type: string, part: object): Promise<string> {
  const answer = await fetch(`${meta.url}/v26.0/${number.id}/messages`, {
    method: "POST",
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ messaging_product: "whatsapp", to: `+${ANN}`, type, [type]: part }),
  });
  const { messages: sent } = (await answer.json()) as { messages?: { id: string }[] };
  return sent?.[0]?.id ?? "";
}

test("the button of a message that was sent opens its flow", async () => {
  work = () => ({ body: { screen: "A", data: {} } });
  meta.say(number.id, ANN, "hello");
  const send = async (parameters: object) => {
    const action = { name: "flow", parameters };
    return sendPart("interactive", { type: "flow", body: { text: "x" }, action });
  };
  const id = await send({ flow_id: flow.id, flow_token: "t2", flow_action: "data_exchange" });
  assert.equal((await meta.flows.openSent(id)).screen, "A");
  assert.equal(asked[0]?.["flow_token"], "t2");
  const payload = { screen: "B", data: { x: 1 } };
  const more = { flow_action: "navigate", flow_action_payload: payload };
  const run = await meta.flows.openSent(await send({ flow_id: flow.id, ...more }));
  assert.deepEqual([run.screen, run.data, asked.length], ["B", { x: 1 }, 1]);
  const strange = meta.world.addLine({ appId: app.id });
  const theirs = meta.world.addFlow({ wabaId: strange.waba.id, endpointUrl });
  await assert.rejects(meta.flows.openSent("wamid.x"), RangeError);
  const foreign = await send({ flow_id: theirs.id, flow_action: "data_exchange" });
  await assert.rejects(meta.flows.openSent(foreign), /another account/);
});

test("the page presses the button of a template, fills the screens, and shows where it is disabled", async () => {
  work = ({ action, data }) => {
    if (action !== "data_exchange") return { body: { screen: "DAY", data: { days: ["<Mo>"] } } };
    if ((data as Json)["day"] === "never") return { status: 427, body: { error_msg: "too late" } };
    const params = { ...(data as Json) };
    return { body: { screen: "SUCCESS", data: { extension_message_response: { params } } } };
  };
  meta.world.addPerson({ phone: ANN });
  const templates = ["offer", "offer_plain"].map((name) =>
    meta.world.addTemplate({
      wabaId: number.wabaId,
      name,
      flowId: name === "offer" ? flow.id : null,
    }),
  );
  const language = { code: "en_US" };
  const action = { flow_token: "t3" };
  const parameters = [{ type: "action", action }];
  const components = [{ type: "button", sub_type: "flow", index: "1", parameters }];
  const id = await sendPart("template", { name: templates[0]?.name, language, components });
  const plain = await sendPart("template", { name: templates[1]?.name, language });
  const page = async () => (await fetch(meta.url)).text();
  /** What the page's form sends, and where it leads. */
  const submit = async (path: string, values: Record<string, string>) => {
    const body = new URLSearchParams(values);
    const url = `${meta.url}/control/${path}`;
    const answer = await fetch(url, { method: "POST", body, redirect: "manual" });
    assert.deepEqual([answer.status, answer.headers.get("location")], [303, "/#flows"]);
  };
  const shown = await page();
  assert.ok(shown.includes(`value="${id}"><button>Press`) && !shown.includes(`value="${plain}"`));
  await assert.rejects(meta.flows.openSent(plain), /opens no flow/);
  await submit("flows/open", { messageId: id });
  assert.match(await page(), /&lt;Mo&gt;/);
  const [run] = meta.flows.runs.values();
  assert.ok(run);
  await submit("flows/back", { run: run.id, data: "{}" });
  await submit("flows/submit", { run: run.id, data: '{"day":"Tu"}' });
  assert.deepEqual(
    [run.state, run.result, asked.map((one) => [one["action"], one["flow_token"]])],
    ["done", { day: "Tu" }, ["INIT", "BACK", "data_exchange"].map((one) => [one, "t3"])],
  );
  await until(() => messages.length === 1);
  assert.deepEqual(messages[0]?.["context"], { from: number.phone, id });
  const late = await meta.flows.openSent(id);
  await submit("flows/submit", { run: late.id, data: '{"day":"never"}' });
  assert.match(await page(), /<td>disabled<\/td>/);
  await assert.rejects(meta.flows.openSent(id), /disabled/);
});
