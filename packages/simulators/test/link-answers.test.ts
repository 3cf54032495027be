import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { applyFault, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import type { PhoneOptions } from "../src/index.ts";
import { bytes, el, kid } from "../src/whatsapp/stanza.ts";
import { Client, troubles, trustRoot } from "./client.ts";
import { OutsideClient } from "./outside-client.ts";

// What the server may answer to a request for a code, and the stages besides the normal ones.

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0, speed: 10 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

let last = 0;
async function ready(options: Partial<PhoneOptions> = {}) {
  const number = `4917000003${String(last++).padStart(2, "0")}`;
  const phone = server.phone(number);
  phone.account.overrides = options;
  const client = new OutsideClient(sim.url);
  await client.qr();
  return { number, phone, client };
}

test("accepted: the code exists with the answer, and the client's name is its own", async () => {
  const { number, phone, client } = await ready();
  const device = await phone.enterCode(await client.requestCode(number));
  assert.equal(device.displayName, "Acme");
  assert.equal((await client.close()).code, 515);
  const again = new Client(sim.url, client.auth);
  await again.open();
  await again.end();
});

for (const helloAnswer of [400, 403, 404, 429, 452, 500] as const) {
  test(`helloAnswer ${helloAnswer}: the query rejects with it and the socket stays`, async () => {
    const { number, phone, client } = await ready({ helloAnswer });
    await assert.rejects(client.requestCode(number), { data: helloAnswer });
    assert.equal(client.closed, undefined);
    await assert.rejects(phone.enterCode("ABCDEFGH"), { code: "no_request" });
    phone.account.overrides = {};
    await phone.enterCode(await client.requestCode(number));
    await client.close();
  });
}

test("helloAnswer silent: no answer within the client's time", async () => {
  const { number, phone, client } = await ready({ helloAnswer: "silent" });
  await assert.rejects(client.requestCode(number, undefined, 100), /Timed Out|no ref/);
  await assert.rejects(phone.enterCode("ABCDEFGH"), { code: "no_request" });
  await client.end();
});

test("an unusual display is 400, unless the rule is off", async () => {
  const { number, phone, client } = await ready();
  for (const display of ["Chrome (Acme)", "Desktop (Mac OS)", "Acme"]) {
    await assert.rejects(client.requestCode(number, display), { data: 400 });
  }
  phone.account.overrides = { displayRule: null };
  assert.equal((await client.requestCode(number, "Chrome (Acme)")).length, 8);
  await client.end();
});

test("throttleAfter: the next hello of the hour is 429, other phones are not touched", async () => {
  const { number, client } = await ready({ throttleAfter: 2 });
  await client.requestCode(number);
  await client.requestCode(number);
  await assert.rejects(client.requestCode(number), { data: 429 });
  await client.requestCode("491700000399");
  await client.end();
});

test("codeTtlMs runs in scaled time", async () => {
  const { number, phone, client } = await ready({ codeTtlMs: 600 });
  await client.requestCode(number);
  const request = server.codes.get(number);
  assert.ok(request && request.expiresAt - Date.now() <= 60);
  await client.until("expiry", () => Date.now() >= request.expiresAt);
  await assert.rejects(phone.enterCode(client.auth.creds.pairingCode ?? ""), {
    code: "code_expired",
  });
  await client.end();
});

test("result-then-silence: the finish is answered and nothing follows", async () => {
  const { number, phone, client } = await ready({ finish: "result-then-silence" });
  const code = await client.requestCode(number);
  await assert.rejects(phone.enterCode(code), { code: "couldnt_link_try_again" });
  await client.until("registered", () => client.auth.creds.registered);
  assert.equal(client.closed, undefined);
  await assert.rejects(phone.enterCode(code), { code: "code_expired" });
  await client.end();
});

test("refresh_code with our ref ends the code; with another ref it does not", async () => {
  const { number, phone, client } = await ready();
  const code = await client.requestCode(number);
  const ref = server.codes.get(number)?.ref;
  const stages = () =>
    client.notifications.map((node) => kid(node, "link_code_companion_reg")).filter((node) => node);
  applyFault(server, { kind: "refresh-code", phone: number, args: { ref: "foreign" } });
  await client.until("foreign notification", () => stages().length === 1);
  assert.notDeepEqual(bytes(kid(stages()[0], "link_code_pairing_ref")), ref);
  applyFault(server, { kind: "refresh-code", phone: number, args: { force: true } });
  await client.until("own notification", () => stages().length === 2);
  assert.deepEqual(stages()[1]?.attrs, { stage: "refresh_code", force_manual_refresh: "true" });
  assert.deepEqual(bytes(kid(stages()[1], "link_code_pairing_ref")), ref);
  await assert.rejects(phone.enterCode(code), { code: "code_expired" });
  await phone.enterCode(await client.requestCode(number));
  assert.equal((await client.close()).code, 515);
});

test("an empty notification of that type does no harm", async () => {
  const { number, phone, client } = await ready();
  const code = await client.requestCode(number);
  const acked = server.events.once("ack", ({ stanza }) => stanza.attrs["class"] === "notification");
  applyFault(server, { kind: "empty-notification", phone: number });
  await acked;
  await phone.enterCode(code);
  assert.equal((await client.close()).code, 515);
});

test("passkey on-scan: the phone asks for it, the client gets the options", async () => {
  const { phone, client } = await ready({ passkey: "on-scan" });
  await assert.rejects(phone.scan(client.draw()), { code: "passkey_required" });
  const request = await client.until("request", () =>
    client.notifications.find((node) => node.attrs["type"] === "passkey_prologue_request"),
  );
  const text = bytes(kid(request, "passkey_request_options"))?.toString() ?? "";
  const options = JSON.parse(text) as Record<string, unknown>;
  assert.deepEqual([options["timeout"], options["rpId"]], [600_000, "whatsapp.com"]);
  const iq = el("iq", { to: "@s.whatsapp.net", type: "get", xmlns: "md" }, [
    el("passkey_request_options"),
  ]);
  const reply = await client.sock.query(iq);
  assert.equal(String(bytes(kid(reply, "passkey_request_options"))), text);
  assert.equal(client.closed, undefined);
  phone.account.overrides = {};
  await phone.scan(client.draw(1));
  await client.close();
});

test("passkey after-finish", async () => {
  const { number, phone, client } = await ready({ passkey: "after-finish" });
  const code = await client.requestCode(number);
  await assert.rejects(phone.enterCode(code), { code: "passkey_required" });
  await client.until("request", () =>
    client.notifications.some((node) => node.attrs["type"] === "passkey_prologue_request"),
  );
  assert.equal(client.closed, undefined);
  await client.end();
});
