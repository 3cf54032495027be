import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "@manyline/testkit";
import { startWppConnect, type WppConnectSimulator } from "../src/wpp/index.ts";
import { Receiver } from "./wpp-receiver.ts";

type Json = Record<string, unknown>;
const ANN = "5511900000001";

async function call(wpp: WppConnectSimulator, key: string, token: string, body?: object) {
  const [method = "GET", path = ""] = key.split(" ");
  const answer = await fetch(`${wpp.url}/api/${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
  return { status: answer.status, body: isJson ? (JSON.parse(text) as Json) : {}, text };
}

async function tokenOf(wpp: WppConnectSimulator, session: string): Promise<string> {
  const { status, body } = await call(
    wpp,
    `POST ${session}/${wpp.options.secret}/generate-token`,
    "",
  );
  assert.equal(status, 201);
  assert.equal(body["full"], `${session}:${String(body["token"])}`);
  return String(body["token"]);
}

async function connected(wpp: WppConnectSimulator, hook: Receiver): Promise<string> {
  const token = await tokenOf(wpp, "s-1");
  await call(wpp, "POST s-1/start-session", token, { webhook: hook.url });
  await until(() => wpp.world.session("s-1").status === "QRCODE");
  wpp.link("s-1", "5511900000099");
  return token;
}

test("a token is for its session only, and the secret must be right", async () => {
  await using wpp = await startWppConnect();
  const [one, two] = [await tokenOf(wpp, "s-1"), await tokenOf(wpp, "s-1")];
  assert.notEqual(one, two);
  for (const token of [one, two]) {
    assert.equal((await call(wpp, "GET s-1/status-session", token)).status, 200);
    assert.equal((await call(wpp, "GET s-2/status-session", token)).status, 401);
  }
  assert.equal((await call(wpp, "POST s-1/wrong/generate-token", "")).status, 400);
  assert.equal(
    (await call(wpp, `GET ${encodeURIComponent(`s-1:${one}`)}/status-session`, "")).status,
    200,
  );
});

test("a cold start answers CLOSED and goes on; the QR comes by webhook, and with waitQrCode by the answer", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppConnect();
  const token = await tokenOf(wpp, "s-1");
  const start = await call(wpp, "POST s-1/start-session", token, { webhook: hook.url });
  assert.deepEqual([start.body["status"], start.body["qrcode"]], ["CLOSED", null]);
  await until(() => hook.got.some(({ event }) => event === "qrcode"));
  const image = await call(wpp, "GET s-1/qrcode-session", token);
  assert.ok(image.text.startsWith("\ufffdPNG"));
  wpp.link("s-1", "5511900000099");
  await until(() => hook.got.some(({ status }) => status === "inChat"));
  assert.deepEqual((await call(wpp, "GET s-1/check-connection-session", token)).body, {
    status: true,
    message: "Connected",
  });

  const other = await tokenOf(wpp, "s-2");
  const waited = await call(wpp, "POST s-2/start-session", other, { waitQrCode: true });
  assert.equal(waited.body["status"], "qrcode");
  const third = await tokenOf(wpp, "s-3");
  const code = await call(wpp, "POST s-3/start-session", third, { waitQrCode: true, phone: ANN });
  assert.match(String(code.body["phoneCode"]), /^[0-9A-F]{8}$/);
});

test("closing keeps the credentials, logging out does not", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppConnect();
  const token = await connected(wpp, hook);
  await call(wpp, "POST s-1/close-session", token);
  await call(wpp, "POST s-1/start-session", token, { webhook: hook.url });
  await until(() => wpp.world.session("s-1").status === "CONNECTED");
  await call(wpp, "POST s-1/logout-session", token);
  await call(wpp, "POST s-1/start-session", token, { webhook: hook.url });
  await until(() => wpp.world.session("s-1").status === "QRCODE");
  await wpp.webhooks.settled();
  const events = new Set(hook.got.map(({ event }) => event));
  assert.ok(events.has("closesession") && events.has("logoutsession"));
});

test("sends, acks, edits, reactions and deletions", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppConnect();
  const closed = await call(wpp, "POST s-1/send-message", await tokenOf(wpp, "s-1"), {
    phone: ANN,
    message: "a",
  });
  assert.deepEqual([closed.status, closed.body["status"]], [404, "Disconnected"]);
  const token = await connected(wpp, hook);
  const sent = await call(wpp, "POST s-1/send-message", token, { phone: ANN, message: "a" });
  assert.equal(sent.status, 201);
  const [first] = sent.body["response"] as Json[];
  const id = String(first?.["id"]);
  await until(() => hook.got.filter(({ event }) => event === "onack").length === 3);
  assert.deepEqual(
    hook.got.filter(({ event }) => event === "onack").map(({ ack }) => ack),
    [1, 2, 3],
  );
  assert.equal((await call(wpp, "POST s-1/edit-message", token, { id, newText: "b" })).status, 201);
  assert.equal(
    (await call(wpp, "POST s-1/react-message", token, { msgId: id, reaction: "👍" })).status,
    200,
  );
  assert.equal(
    (await call(wpp, "POST s-1/delete-message", token, { phone: ANN, messageId: id })).status,
    201,
  );
  const stored = wpp.world.find("s-1", id);
  assert.deepEqual(
    [stored?.["body"], stored?.["reaction"], stored?.["isDeleted"]],
    ["b", "👍", true],
  );
  wpp.world.people.add(ANN);
  assert.equal(
    (await call(wpp, "POST s-1/send-message", token, { phone: "5511900000002", message: "a" }))
      .status,
    400,
  );
});

test("a webhook that is not taken does not come again; the message is among the unread ones once", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppConnect();
  const token = await connected(wpp, hook);
  await wpp.webhooks.settled();
  hook.status = 503;
  wpp.say("s-1", ANN, "lost");
  await wpp.webhooks.settled();
  hook.status = 200;
  const id = wpp.say("s-1", ANN, "unread", true);
  const unread = await call(wpp, "GET s-1/all-unread-messages", token);
  assert.deepEqual(
    (unread.body["response"] as Json[]).map((one) => one["id"]),
    [id],
  );
  assert.deepEqual((await call(wpp, "GET s-1/all-unread-messages", token)).body["response"], []);
  assert.ok(!hook.got.some(({ event }) => event === "onmessage"));
});

test("a person with a LID writes as such, and can be looked up", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppConnect();
  const token = await connected(wpp, hook);
  wpp.world.lids.set(ANN, "100000000000021");
  wpp.say("s-1", ANN, "hello");
  await until(() => hook.got.some(({ from }) => from === "100000000000021@lid"));
  const found = await call(wpp, "GET s-1/contact/pn-lid/100000000000021@lid", token);
  assert.deepEqual(found.body["phoneNumber"], { _serialized: `${ANN}@c.us` });
});
