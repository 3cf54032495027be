import assert from "node:assert/strict";
import { test } from "node:test";
import { until } from "@manyline/testkit";
import { startWppPlatform, type WppPlatformSimulator } from "../src/wpp/index.ts";
import { Receiver } from "./wpp-receiver.ts";

type Json = Record<string, unknown>;
const ANN = "79000000001";

async function call(
  wpp: WppPlatformSimulator,
  key: string,
  bearer = "",
  body?: object,
): Promise<{ status: number; body: Json; text: string }> {
  const [method = "GET", path = ""] = key.split(" ");
  const answer = await fetch(`${wpp.url}/${path}`, {
    method,
    headers: { authorization: `Bearer ${bearer}`, "content-type": "application/json" },
    ...(body ? { body: JSON.stringify(body) } : {}),
  });
  const text = await answer.text();
  const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
  return { status: answer.status, text, body: isJson ? (JSON.parse(text) as Json) : {} };
}

const create = (wpp: WppPlatformSimulator, organizationId: string) =>
  call(wpp, "POST api/integrations/wpp/create", wpp.options.secret, { organizationId });

/** A client with a token, started and scanned. */
async function connected(wpp: WppPlatformSimulator, organizationId: string, url?: string) {
  const { body } = await create(wpp, organizationId);
  const [session, apiKey] = [String(body["session"]), String(body["apiKey"])];
  const token = String((await call(wpp, "POST auth/token", "", { apiKey })).body["token"]);
  if (url) await call(wpp, `POST internal/session/${session}/webhook`, token, { url });
  await call(wpp, "POST api/accounts/start", token, { number: session });
  await until(() => wpp.world.bySession(session).state === "qr");
  wpp.scan(session, "79000000099");
  return { session, apiKey, token };
}

test("one organisation has one key and one session for ever, another id has others", async () => {
  await using wpp = await startWppPlatform();
  const [first, again, other] = [
    await create(wpp, "a"),
    await create(wpp, "a"),
    await create(wpp, "a__wpp__1a2b3c4d"),
  ];
  assert.deepEqual(again.body, first.body);
  assert.notEqual(other.body["apiKey"], first.body["apiKey"]);
  assert.match(String(first.body["session"]), /^0{6,}\d+$/);
  assert.equal(String(first.body["session"]).length, 13);
  assert.equal(
    (await call(wpp, "POST api/integrations/wpp/create", "wrong", { organizationId: "b" })).status,
    401,
  );
});

test("a key that was given out again while its session runs is refused, or clashes", async () => {
  for (const onReissue of [403, 504] as const) {
    await using wpp = await startWppPlatform({ onReissue });
    const { apiKey, session } = await connected(wpp, "a");
    await create(wpp, "a");
    const token = await call(wpp, "POST auth/token", "", { apiKey });
    if (onReissue === 403) {
      assert.deepEqual([token.status, token.body], [403, { error: "Invalid API key" }]);
    } else {
      const start = await call(wpp, "POST api/accounts/start", String(token.body["token"]), {
        number: session,
      });
      assert.equal(start.status, 504);
      assert.match(start.text, /504 Gateway/);
    }
  }
});

test("a new key can take a while, and a token ends", async () => {
  await using wpp = await startWppPlatform({
    activationMs: 60,
    tokenTtlMs: 80,
    tellsExpiry: false,
  });
  const { body } = await create(wpp, "a");
  const ask = () => call(wpp, "POST auth/token", "", { apiKey: body["apiKey"] });
  assert.equal((await ask()).status, 403);
  await until(async () => (await ask()).status === 200);
  const given = (await ask()).body;
  assert.equal(given["expiresIn"], undefined);
  const status = () =>
    call(wpp, `GET api/accounts/${String(body["session"])}/status`, String(given["token"]));
  assert.deepEqual((await status()).body, { status: "offline" });
  await until(async () => (await status()).status === 401);
});

test("start, QR, scan: told by webhook and by asking", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppPlatform();
  const { session, token } = await connected(wpp, "a", hook.url);
  await until(() => hook.got.length >= 2);
  assert.deepEqual(
    hook.got.map(({ type }) => type),
    ["qr", "connected"],
  );
  assert.deepEqual((await call(wpp, `GET api/accounts/${session}/status`, token)).body, {
    status: "connected",
  });
  assert.equal((await call(wpp, "GET api/accounts/0000000000009/status", token)).status, 403);
  wpp.drop(session, "logout");
  await until(() => hook.got.at(-1)?.["type"] === "logout");
});

test("a message is sent, delivered and read; it can be taken back once", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppPlatform();
  const { session, token } = await connected(wpp, "a", hook.url);
  const sent = await call(wpp, "POST api/messages/text", token, {
    type: "text",
    to: ANN,
    text: "hello",
  });
  const { taskId } = sent.body;
  await until(() => hook.got.some(({ status }) => status === "read"));
  const told = hook.got.filter(({ type }) => type === "message.status" || type === "delivery");
  assert.deepEqual(
    told.map((one) => (one["data"] as Json | undefined)?.["status"] ?? one["status"]),
    ["sent", "delivered", "read"],
  );
  const react = await call(wpp, "POST api/messages/react", token, {
    to: `+${ANN}`,
    waMessageId: "x",
    emoji: "👍",
  });
  assert.deepEqual(react.body, { status: "ok" });
  assert.equal((await call(wpp, `DELETE api/messages/${String(taskId)}`, token)).status, 200);
  assert.equal((await call(wpp, `DELETE api/messages/${String(taskId)}`, token)).status, 404);
  wpp.drop(session);
  const offline = await call(wpp, "POST api/messages/text", token, {
    type: "text",
    to: ANN,
    text: "hello",
  });
  assert.deepEqual(offline.body, { status: "error", message: "Account is offline" });
});

test("people write, the phone writes, files are fetched", async () => {
  await using hook = await Receiver.start();
  await using wpp = await startWppPlatform();
  const { session, token } = await connected(wpp, "a", hook.url);
  const messageId = wpp.say(session, ANN, "hello");
  wpp.writeFromPhone(session, ANN, "from the phone");
  await until(() => hook.got.some(({ fromMe }) => fromMe === true));
  assert.ok(hook.got.some((one) => one["messageId"] === messageId && one["text"] === "hello"));
  wpp.world.files.set(messageId, {
    bytes: Buffer.from("file"),
    mimeType: "image/png",
    fileName: "a.png",
  });
  const file = await call(wpp, `GET api/messages/media/${messageId}`, token);
  assert.equal(file.text, "file");
});

test("faults: an answer instead, a delay, a cut", async () => {
  await using wpp = await startWppPlatform();
  wpp.faults.add({
    call: "create",
    effect: { answer: { status: 500, body: { error: "no" } } },
    next: 1,
  });
  assert.equal((await create(wpp, "a")).status, 500);
  wpp.faults.add({ call: "create", effect: { cut: "after" }, next: 1 });
  await assert.rejects(create(wpp, "a"));
  assert.equal(wpp.world.clients.size, 1);
  wpp.faults.add({ call: "create", effect: { delayMs: 30 }, next: 1 });
  const before = performance.now();
  assert.equal((await create(wpp, "a")).status, 200);
  assert.ok(performance.now() - before >= 29);
});
