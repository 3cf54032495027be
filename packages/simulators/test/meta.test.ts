import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, beforeEach, describe, test } from "node:test";
import { until } from "@manyline/testkit";
import {
  type AccessToken,
  type BusinessNumber,
  type MetaApp,
  type MetaSimulator,
  signatureOf,
  startMetaSimulator,
} from "../src/meta/index.ts";

type Json = Record<string, unknown>;
/** What came to the callback, parsed, with its signature and bytes. */
type Got = { body: Json; raw: Buffer; signature: string };

let receiver: Server;
let callbackUrl: string;
let got: Got[] = [];
/** What the callback answers next; 200 when there is nothing. */
let answers: number[] = [];
async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (request.method === "GET") {
    const query = new URL(request.url ?? "", "http://x").searchParams;
    const isKnown = query.get("hub.verify_token") === "verify-me";
    response.writeHead(isKnown ? 200 : 403).end(query.get("hub.challenge"));
    return;
  }
  const raw = Buffer.concat(chunks);
  const status = answers.shift() ?? 200;
  const signature = String(request.headers["x-hub-signature-256"]);
  if (status === 200) got.push({ body: JSON.parse(raw.toString()) as Json, raw, signature });
  response.writeHead(status).end();
}

before(async () => {
  receiver = createServer((request, response) => {
    void receive(request, response);
  });
  await new Promise<void>((resolve) => {
    receiver.listen(0, "127.0.0.1", resolve);
  });
  callbackUrl = `http://127.0.0.1:${(receiver.address() as AddressInfo).port}/hook`;
});
after(() => receiver.close());

let meta: MetaSimulator;
let app: MetaApp;
let number: BusinessNumber;
let token: AccessToken;
const ANN = "15550100019";
beforeEach(async () => {
  [got, answers] = [[], []];
  meta = await startMetaSimulator({
    deliveries: { retryMs: 5, gatherMs: 2 },
    sending: { deliverMs: 3, readMs: 3 },
  });
  app = meta.world.addApp({ callbackUrl });
  ({ number, token } = meta.world.addLine({ appId: app.id }));
  meta.world.addPerson({ phone: ANN, name: "Ann" });
});
afterEach(() => meta.close());

async function graph(
  method: string,
  path: string,
  options: { body?: object; token?: string; version?: string } = {},
) {
  const { version = "v26.0", body } = options;
  const answer = await fetch(`${meta.url}/${version}/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.token ?? token.token}`,
      "content-type": "application/json",
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const json = (await answer.json()) as Json & { error?: { code: number; error_subcode?: number } };
  return {
    status: answer.status,
    json,
    version: answer.headers.get("facebook-api-version"),
    code: json.error?.code,
  };
}
const send = (body: object, more: { token?: string; to?: string } = {}) =>
  graph("POST", `${number.id}/messages`, {
    body: { messaging_product: "whatsapp", to: `+${more.to ?? ANN}`, ...body },
    ...(more.token === undefined ? {} : { token: more.token }),
  });
const text = (body = "hi"): object => ({ type: "text", text: { body } });

/** All changes that came, in the order they came. */
const changes = (): { field: string; value: Json }[] =>
  got.flatMap(({ body }) =>
    (body["entry"] as { changes: { field: string; value: Json }[] }[]).flatMap(
      (entry) => entry.changes,
    ),
  );
const statuses = (): Json[] =>
  changes().flatMap(({ value }) => (value["statuses"] ?? []) as Json[]);
const messages = (): Json[] =>
  changes().flatMap(({ value }) => (value["messages"] ?? []) as Json[]);

describe("tokens", () => {
  test("send for what they see, and for nothing else", async () => {
    const other = meta.world.addLine({ appId: app.id });
    meta.say(number.id, ANN, "open the window");
    assert.equal((await send(text())).status, 200);
    assert.equal((await send(text(), { token: other.token.token })).code, 200);
    assert.equal((await send(text(), { token: "nonsense" })).code, 190);
    token.expiresAt = Math.floor(Date.now() / 1_000) - 1;
    const expired = await send(text());
    assert.deepEqual(
      [expired.status, expired.code, expired.json.error?.error_subcode],
      [401, 190, 463],
    );
    Object.assign(token, { expiresAt: 0, scopes: ["whatsapp_business_management"] });
    assert.equal((await send(text())).code, 10);
    token.isRevoked = true;
    assert.equal((await send(text())).code, 190);
    assert.equal(meta.sending.sent.length, 1);
  });

  test("are told about, with scopes and accounts", async () => {
    const { json } = await graph("GET", `debug_token?input_token=${token.token}`);
    const data = json["data"] as Json;
    assert.equal(data["is_valid"], true);
    assert.deepEqual((data["granular_scopes"] as Json[])[0]?.["target_ids"], [number.wabaId]);
    const wrong = await graph("GET", "debug_token?input_token=x");
    assert.equal((wrong.json["data"] as Json)["is_valid"], false);
  });
});

describe("sending", () => {
  test("ends in statuses that carry what was sent along, signed over escaped bytes", async () => {
    meta.say(number.id, ANN, "naïve café 👋");
    const { json } = await send({ ...text(), biz_opaque_callback_data: "msg_1" });
    const [message] = json["messages"] as Json[];
    await until(() => statuses().length === 3);
    assert.deepEqual(
      new Set(statuses().map((one) => one["status"])),
      new Set(["sent", "delivered", "read"]),
    );
    for (const one of statuses()) {
      assert.deepEqual([one["id"], one["biz_opaque_callback_data"]], [message?.["id"], "msg_1"]);
    }
    const [spoken] = messages();
    assert.deepEqual(spoken?.["text"], { body: "naïve café 👋" });
    const first = got.find(({ raw }) => raw.includes("caf\\u00e9 \\ud83d\\udc4b"));
    assert.ok(first);
    assert.ok(got.every(({ raw, signature }) => signature === signatureOf(raw, app.secret)));
  });

  test("outside the window, to nobody, or by a fault fails afterwards; a template goes", async () => {
    meta.world.addTemplate({ wabaId: number.wabaId, name: "hello", parameters: 1 });
    const template = (count: number, name = "hello"): object => ({
      type: "template",
      template: {
        name,
        language: { code: "en_US" },
        components: [
          {
            type: "body",
            parameters: Array.from({ length: count }, () => ({ type: "text", text: "x" })),
          },
        ],
      },
    });
    const idOf = ({ json }: { json: Json }): unknown => (json["messages"] as Json[])[0]?.["id"];
    const closed = idOf(await send(text()));
    const nobody = idOf(await send(template(1), { to: "15559999999" }));
    const good = idOf(await send(template(1)));
    assert.equal((await send(template(0))).code, 132_000);
    assert.equal((await send(template(1, "other"))).code, 132_001);
    meta.faults.add({
      to: ANN,
      part: "messages",
      effect: { failed: { code: 131_049 } },
      when: { next: 1 },
    });
    const unlucky = idOf(await send(template(1)));
    const failed = (id: unknown): unknown => {
      const one = statuses().find((status) => status["id"] === id && status["status"] === "failed");
      return (one?.["errors"] as Json[] | undefined)?.[0]?.["code"];
    };
    await until(
      () => failed(closed) === 131_047 && failed(nobody) === 131_026 && failed(unlucky) === 131_049,
    );
    await until(() => statuses().some((one) => one["id"] === good && one["status"] === "read"));
  });

  test("what is not right is refused at once", async () => {
    meta.say(number.id, ANN, "hi");
    for (const [body, code] of [
      [{ type: "text" }, 131_008],
      [{ type: "text", text: { body: "x".repeat(4_097) } }, 131_009],
      [{ type: "hologram", hologram: {} }, 131_051],
      [{ type: "image", image: {} }, 131_008],
      [{ type: "reaction", reaction: { message_id: "x" }, context: { message_id: "y" } }, 131_009],
      [
        { type: "interactive", interactive: { type: "button", action: { buttons: [1, 2, 3, 4] } } },
        131_009,
      ],
    ] as const) {
      assert.equal((await send(body)).code, code);
    }
    assert.equal((await send(text(), { to: number.phone })).code, 131_021);
    number.isRegistered = false;
    assert.equal((await send(text())).code, 133_010);
  });

  test("too fast is refused: by the number, and to one person", async () => {
    number.perSecond = 3;
    const codes = await Promise.all(
      Array.from({ length: 5 }, async () => (await send(text())).code),
    );
    assert.equal(codes.filter((code) => code === 130_429).length, 2);
    number.perSecond = 1_000;
    const pair = await Promise.all(
      Array.from({ length: 60 }, async () => (await send(text())).code),
    );
    assert.ok(pair.filter((code) => code === 131_056).length >= 10);
  });

  test("faults come as often as asked: errors, and connections that are cut before or after", async () => {
    meta.faults.add({
      phoneNumberId: number.id,
      effect: { error: { code: 131_016, httpStatus: 503 } },
      when: { next: 2 },
    });
    assert.deepEqual([(await send(text())).code, (await send(text())).code], [131_016, 131_016]);
    assert.equal((await send(text())).status, 200);
    meta.faults.add({ part: "messages", effect: { cut: "before" }, when: { next: 1 } });
    await assert.rejects(send(text()));
    assert.equal(meta.sending.sent.length, 1);
    meta.faults.add({ part: "messages", effect: { cut: "after" }, when: { next: 1 } });
    await assert.rejects(send(text()));
    assert.equal(meta.sending.sent.length, 2, "taken, though nobody was told");
  });
});

describe("people", () => {
  test("who hide their phone have an id, another one in each portfolio, and can be written to by it", async () => {
    meta.world.addPerson({ phone: "15550100020", username: "@bo", isPhoneHidden: true });
    meta.say(number.id, "15550100020", "hi");
    await until(() => messages().length === 1);
    const [message] = messages();
    assert.equal(message?.["from"], undefined);
    const userId = String(message?.["from_user_id"]);
    const other = meta.world.addLine({ appId: app.id });
    const { portfolioId } = meta.world.wabaOf(other.number);
    assert.notEqual(meta.world.userIdOf("15550100020", portfolioId), userId);
    const answer = await graph("POST", `${number.id}/messages`, {
      body: { messaging_product: "whatsapp", recipient: userId, ...text() },
    });
    assert.deepEqual(answer.json["contacts"], [{ input: userId, user_id: userId }]);
    await until(() => statuses().length === 3);
    assert.ok(
      statuses().every(
        (one) => one["recipient_id"] === undefined && one["recipient_user_id"] === userId,
      ),
    );
  });

  test("who are written to by another phone are named by their own, in answers and statuses", async () => {
    meta.world.addPerson({ phone: "551187654321", dialled: ["5511987654321"] });
    meta.say(number.id, "551187654321", "oi");
    const to = "+5511987654321";
    const answer = await send(text(), { to: to.slice(1) });
    assert.deepEqual(answer.json["contacts"], [{ input: to, wa_id: "551187654321" }]);
    await until(() => statuses().length === 3);
    assert.ok(statuses().every((one) => one["recipient_id"] === "551187654321"));
    const own = await send(text(), { to: "551187654321" });
    assert.deepEqual(own.json["contacts"], [{ input: "+551187654321", wa_id: "551187654321" }]);
  });
});

describe("files", () => {
  test("go up and down with the number's own token", async () => {
    const form = new FormData();
    form.set("messaging_product", "whatsapp");
    form.set("file", new Blob([Buffer.from("bytes")], { type: "image/png" }), "a.png");
    const answer = await fetch(`${meta.url}/v26.0/${number.id}/media`, {
      method: "POST",
      body: form,
      headers: { authorization: `Bearer ${token.token}` },
    });
    const { id } = (await answer.json()) as { id: string };
    const { json } = await graph("GET", `${id}?phone_number_id=${number.id}`);
    const url = String(json["url"]);
    const fetched = await fetch(url, { headers: { authorization: `Bearer ${token.token}` } });
    assert.deepEqual(
      [await fetched.text(), fetched.headers.get("content-type")],
      ["bytes", "image/png"],
    );
    assert.equal((await fetch(url)).status, 401);
    const other = meta.world.addLine({ appId: app.id });
    assert.equal((await graph("GET", id, { token: other.token.token })).code, 200);
    assert.equal((await graph("GET", `${id}?phone_number_id=${other.number.id}`)).code, 100);
    meta.media.expireLinks();
    assert.equal(
      (await fetch(url, { headers: { authorization: `Bearer ${token.token}` } })).status,
      404,
    );
  });
});

describe("webhooks", () => {
  test("are sent again until they are taken, twice, and in another order, if wanted", async () => {
    answers = [500, 503, 401];
    Object.assign(meta.deliveries.options, { duplicates: 1, isShuffled: true, most: 10 });
    const ids = Array.from({ length: 50 }, () => meta.say(number.id, ANN, "hi"));
    await until(() => meta.deliveries.waiting === 0);
    const seen = messages().map((one) => one["id"]);
    assert.equal(seen.length, 100);
    assert.deepEqual(new Set(seen), new Set(ids));
    assert.notDeepEqual([...new Set(seen)], ids);
    assert.ok(got.every(({ body }) => (body["entry"] as Json[]).length <= 10));
    assert.equal(meta.deliveries.attempts.filter(({ status }) => status !== 200).length, 3);
  });

  test("of two apps are signed with each one's secret; nobody gets what they are not subscribed to", async () => {
    const second = meta.world.addApp({ callbackUrl: `${callbackUrl}/2` });
    const theirs = meta.world.addLine({ appId: second.id });
    meta.say(theirs.number.id, ANN, "to the second");
    await until(() => got.length === 1);
    assert.equal(got[0]?.signature, signatureOf(got[0]?.raw ?? Buffer.alloc(0), second.secret));
    assert.equal(
      (await graph("DELETE", `${theirs.waba.id}/subscribed_apps`, { token: theirs.token.token }))
        .status,
      200,
    );
    meta.say(theirs.number.id, ANN, "nobody hears this");
    meta.say(number.id, ANN, "the first");
    await until(() => got.length === 2);
    assert.equal(messages().length, 2);
  });

  test("go to an address only after it has proved whose it is", async () => {
    const set = (verify_token: string) =>
      graph("POST", `${app.id}/subscriptions`, {
        body: { callback_url: `${callbackUrl}/new`, verify_token },
      });
    assert.equal((await set("wrong")).code, 2_200);
    assert.equal(app.callbackUrl, callbackUrl);
    assert.equal((await set("verify-me")).status, 200);
    assert.equal(app.callbackUrl, `${callbackUrl}/new`);
  });
});

test("numbers and accounts answer with their fields; versions that ended are served by the oldest", async () => {
  const fields = await graph("GET", `${number.id}?fields=display_phone_number,status`);
  assert.deepEqual(fields.json, {
    display_phone_number: `+${number.phone}`,
    status: "CONNECTED",
    id: number.id,
  });
  const { json } = await graph("GET", `${number.wabaId}/phone_numbers`);
  assert.equal((json["data"] as Json[]).length, 1);
  assert.equal((await graph("GET", number.id, { version: "v17.0" })).version, "v21.0");
  assert.equal((await graph("GET", number.id, { version: "v25.0" })).version, "v25.0");
  assert.equal((await graph("GET", number.id, { version: "v99.0" })).code, 2_500);
  assert.equal((await graph("GET", "123")).code, 100);
});

test("the page and the control API show and play what there is", async () => {
  const page = await (await fetch(meta.url)).text();
  assert.ok(page.includes(number.id) && page.includes(token.token));
  const control = async (method: string, path: string, body?: object) =>
    (await (
      await fetch(`${meta.url}/control/${path}`, {
        method,
        ...(body ? { body: JSON.stringify(body) } : {}),
      })
    ).json()) as Json;
  await control("POST", "say", { phoneNumberId: number.id, from: ANN, text: "over HTTP" });
  await until(() => messages().length === 1);
  await control("POST", "faults", { effect: { error: { code: 4 } } });
  assert.equal((await send(text())).code, 4);
  await control("DELETE", "faults");
  const state = await control("GET", "state");
  assert.equal((state["numbers"] as Json[]).length, 1);
  assert.equal((await fetch(`${meta.url}/control/nothing`)).status, 404);
});
