import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import { adopted, makeCredentials } from "./adopted.ts";
import type { AdoptAnswer } from "./adopted.ts";
import { Client, linkByQr, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(sim.server), []));

type Answer = { status: number; body: Record<string, unknown> };

async function call(method: string, path: string, body?: unknown): Promise<Answer> {
  const init = body === undefined ? { method } : { method, body: JSON.stringify(body) };
  const response = await fetch(sim.httpUrl + path, init);
  return { status: response.status, body: (await response.json()) as Answer["body"] };
}

/** status and error code of a refused call */
async function refusal(...args: Parameters<typeof call>): Promise<[number, unknown]> {
  const { status, body } = await call(...args);
  const { code, message } = body["error"] as { code: string; message: string };
  assert.equal(typeof message, "string");
  return [status, code];
}

test("root: address and key", async () => {
  const { body } = await call("GET", "/root");
  assert.deepEqual(body, { url: sim.url, rootPublicKey: sim.rootPublicKey });
  assert.match(sim.rootPublicKey, /^[0-9a-f]{64}$/);
});

test("phones: made, read, changed, listed", async () => {
  const made = await call("PUT", "/phones/491700000601", {
    name: "Lena",
    options: { passkey: "on-scan" },
  });
  assert.equal(made.status, 200);
  const { body } = await call("GET", "/phones/491700000601");
  assert.deepEqual([body["name"], body["exists"], body["online"]], ["Lena", true, true]);
  assert.deepEqual([body["devices"], body["pendingCode"]], [[], false]);
  assert.equal((body["options"] as Record<string, unknown>)["passkey"], "on-scan");
  assert.match(String(body["lid"]), /^1\d{14}$/);
  const changed = await call("PUT", "/phones/491700000601", { online: false, options: {} });
  assert.deepEqual([changed.body["name"], changed.body["online"]], ["Lena", false]);
  assert.equal((changed.body["options"] as Record<string, unknown>)["passkey"], "off");
  const list = (await call("GET", "/phones")).body["phones"] as { msisdn: string }[];
  assert.ok(list.some(({ msisdn }) => msisdn === "491700000601"));
});

test("scan: 200 only when the link is finished, else what the phone shows", async () => {
  const path = "/phones/491700000602";
  assert.deepEqual(await refusal("POST", `${path}/scan`, { qr: "hello" }), [409, "qr_unreadable"]);
  assert.equal((await call("GET", path)).body["lastError"], "qr_unreadable");
  const client = new Client(sim.url);
  const answer = await call("POST", `${path}/scan`, { qr: await client.qr() });
  assert.deepEqual(answer, { status: 200, body: { result: "linked", deviceId: 1 } });
  await client.close();
  const { body } = await call("GET", path);
  assert.equal(body["lastError"], undefined);
  const [device] = body["devices"] as Record<string, unknown>[];
  assert.deepEqual(
    [device?.["id"], device?.["name"], device?.["platform"], device?.["connected"]],
    [1, "Mac OS", "CHROME", false],
  );
  assert.ok(Date.parse(String(device?.["linkedAt"])) <= Date.now());
});

test("enter-code and unlink", async () => {
  const number = "491700000603";
  const path = `/phones/${number}`;
  assert.deepEqual(await refusal("POST", `${path}/enter-code`, { code: "ABCDEFGH" }), [
    409,
    "no_request",
  ]);
  const client = new Client(sim.url);
  await client.qr();
  const accepted = sim.server.events.once("code-requested");
  const code = await client.sock.requestPairingCode(number);
  await accepted;
  assert.equal((await call("GET", path)).body["pendingCode"], true);
  assert.deepEqual(await refusal("POST", `${path}/enter-code`, { code: "ZZZZZZZZ" }), [
    409,
    "wrong_code",
  ]);
  const answer = await call("POST", `${path}/enter-code`, { code });
  assert.deepEqual(answer.body, { result: "linked", deviceId: 1 });
  await client.close();
  const second = new Client(sim.url, client.auth);
  await second.open();
  assert.deepEqual((await call("POST", `${path}/unlink`, { deviceId: 9 })).body, { unlinked: 0 });
  assert.deepEqual((await call("POST", `${path}/unlink`)).body, { unlinked: 1 });
  assert.equal((await second.close()).code, 401);
});

test("adopt: credentials that were never linked can log in", async () => {
  const { auth, request } = makeCredentials("491700000604");
  const { status, body } = await call("POST", "/adopt", request);
  assert.equal(status, 200);
  adopted(auth, body as AdoptAnswer);
  const client = new Client(sim.url, auth);
  await client.open();
  assert.equal(client.sock.user?.id, "491700000604:1@s.whatsapp.net");
  await client.end();
  assert.deepEqual(await refusal("POST", "/adopt", { ...request, identity: "AA==" }), [
    400,
    "bad_body",
  ]);
  assert.deepEqual(await refusal("POST", "/adopt", { ...request, preKeys: "AA==" }), [
    400,
    "bad_body",
  ]);
});

test("faults: one at once, one standing, cleared", async () => {
  const number = "491700000605";
  const client = await linkByQr(sim.url, sim.server.phone(number));
  const drop = await call("POST", "/faults", { kind: "drop", phone: number });
  assert.deepEqual(drop.body, { affected: 1 });
  assert.equal((await client.close()).code, 428);
  const args = { reason: 402, code: "101" };
  await call("POST", "/faults", { kind: "login-failure", phone: number, deviceId: 1, args });
  const refused = await new Client(sim.url, client.auth).close();
  assert.equal(refused.code, 402);
  assert.equal((refused.data as Record<string, string>)["code"], "101");
  assert.equal(((await call("GET", "/faults")).body["standing"] as unknown[]).length, 1);
  await call("DELETE", "/faults");
  const again = new Client(sim.url, client.auth);
  await again.open();
  await again.end();
  assert.deepEqual(await refusal("POST", "/faults", { kind: "earthquake" }), [400, "bad_option"]);
  assert.deepEqual(
    await refusal("POST", "/faults", { kind: "min-version", args: { version: 3 } }),
    [400, "bad_option"],
  );
});

test("stats count, options change", async () => {
  const { body } = await call("GET", "/stats");
  for (const name of [
    "connections",
    "connected",
    "logins",
    "registrations",
    "hellos",
    "links",
    "replaced",
  ]) {
    assert.equal(typeof body[name], "number", name);
  }
  assert.deepEqual([body["unhandled"], body["errors"]], [[], []]);
  assert.ok(Number(body["links"]) >= 3 && Number(body["logins"]) >= 3);
  assert.equal((await call("PATCH", "/options", { qrRefs: 2 })).body["qrRefs"], 2);
  assert.equal((await call("PATCH", "/options", { qrRefs: 6 })).body["qrRefs"], 6);
  assert.deepEqual(await refusal("PATCH", "/options", { qrRefs: 0 }), [400, "bad_option"]);
});

test("events: what happens to a phone arrives as server-sent events", async () => {
  const stop = new AbortController();
  const response = await fetch(`${sim.httpUrl}/events`, { signal: stop.signal });
  assert.equal(response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const client = await linkByQr(sim.url, sim.server.phone("491700000606"));
  let text = "";
  const decoder = new TextDecoder();
  for await (const part of response.body ?? []) {
    text += decoder.decode(part as Uint8Array, { stream: true });
    if (/event: login\n/.test(text)) break;
  }
  stop.abort();
  assert.match(text, /event: linked\ndata: \{"msisdn":"491700000606","device":\{"id":1/);
  assert.match(text, /event: phone-changed\ndata: \{"msisdn":"491700000606","lid"/);
  await client.end();
});

test("bad input is refused with a code", async () => {
  assert.deepEqual(await refusal("GET", "/phones/12"), [400, "bad_msisdn"]);
  assert.deepEqual(await refusal("PUT", "/phones/+491700000607", {}), [400, "bad_msisdn"]);
  assert.deepEqual(await refusal("PUT", "/phones/491700000607", { exists: "no" }), [
    400,
    "bad_body",
  ]);
  assert.deepEqual(await refusal("PUT", "/phones/491700000607", { options: { x: 1 } }), [
    400,
    "bad_option",
  ]);
  assert.deepEqual(await refusal("POST", "/phones/491700000607/scan", {}), [400, "bad_body"]);
  assert.deepEqual(await refusal("POST", "/phones/491700000607/scan", []), [400, "bad_body"]);
  assert.deepEqual(await refusal("GET", "/nowhere"), [404, "not_found"]);
  assert.deepEqual(await refusal("DELETE", "/phones"), [405, "method_not_allowed"]);
  const long = { qr: "x".repeat(300_000) };
  assert.deepEqual(await refusal("POST", "/phones/491700000607/scan", long), [
    413,
    "body_too_large",
  ]);
  const notJson = await fetch(`${sim.httpUrl}/faults`, { method: "POST", body: "{" });
  assert.equal(notJson.status, 400);
});

test("a number set to exists:false has no WhatsApp; without autoAccounts none has", async () => {
  await call("PUT", "/phones/491700000608", { exists: false });
  assert.deepEqual(await refusal("POST", "/phones/491700000608/scan", { qr: "x" }), [
    409,
    "no_account",
  ]);
  const client = await linkByQr(sim.url, sim.server.phone("491700000609"));
  const asked = await client.sock.onWhatsApp("491700000608", "491700000610");
  assert.deepEqual(
    asked?.map(({ jid }) => jid),
    ["491700000610@s.whatsapp.net"],
  );
  await client.end();
  await call("PATCH", "/options", { autoAccounts: false });
  assert.deepEqual(await refusal("GET", "/phones/491700000611"), [404, "phone_not_found"]);
  assert.equal((await call("PUT", "/phones/491700000611", {})).body["exists"], true);
  await call("PATCH", "/options", { autoAccounts: true });
});

test("the page: a hint without a folder, files with one, nothing outside of it", async () => {
  assert.match(await (await fetch(sim.httpUrl)).text(), /--page/);
  const folder = await mkdtemp(join(tmpdir(), "simulator-page-"));
  await writeFile(join(folder, "phone.html"), "<h1>phone</h1>");
  await writeFile(join(folder, "app.js"), "1");
  await using paged = await startWhatsAppSimulator({ port: 0, page: folder });
  const index = await fetch(paged.httpUrl);
  assert.equal(await index.text(), "<h1>phone</h1>");
  assert.match(index.headers.get("content-type") ?? "", /text\/html/);
  const script = await fetch(`${paged.httpUrl}/app.js`);
  assert.match(script.headers.get("content-type") ?? "", /javascript/);
  for (const path of ["/missing.js", "/%2e%2e/%2e%2e/etc/passwd", "/..%2f..%2fetc%2fpasswd"]) {
    assert.equal((await fetch(paged.httpUrl + path)).status, 404, path);
  }
  await rm(folder, { recursive: true });
});
