import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { after, afterEach, test } from "node:test";
import { muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import { Client, MemoryAuth, troubles, trustRoot } from "./client.ts";

// Stock `requestPairingCode`: it resolves when the request is written, so tests wait for the server to have it.

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

let last = 0;
function freshPhone() {
  const number = `4917000001${String(last++).padStart(2, "0")}`;
  return { number, phone: server.phone(number) };
}

async function ready(options = {}, auth = new MemoryAuth()): Promise<Client> {
  const client = new Client(sim.url, auth, options);
  await client.qr();
  return client;
}

async function request(client: Client, number: string, custom?: string): Promise<string> {
  const accepted = server.events.once("code-requested", ({ account }) => account.phone === number);
  const code = await client.sock.requestPairingCode(number, custom);
  assert.equal((await accepted).display, "Chrome (Mac OS)");
  return code;
}

test("a code typed with a dash and in lower case links, logs in and opens", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  const code = await request(client, number);
  assert.match(code, /^[1-9A-HJ-NP-TV-Z]{8}$/);
  const device = await phone.enterCode(`${code.slice(0, 4)}-${code.slice(4).toLowerCase()}`);
  assert.equal(device.id, 1);
  assert.equal((await client.close()).code, 515);
  const again = new Client(sim.url, client.auth);
  await again.open();
  assert.equal(again.sock.user?.id, `${number}:1@s.whatsapp.net`);
  assert.deepEqual(again.auth.creds.registered, true);
  await again.end();
  await assert.rejects(phone.enterCode(code), { code: "no_request" });
});

test("a custom code", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  await request(client, number, "ACMEBOT1");
  await phone.enterCode("ACMEBOT1");
  assert.equal((await client.close()).code, 515);
});

test("a wrong code is noticed by the phone only; the right one works afterwards", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  const code = await request(client, number);
  await assert.rejects(phone.enterCode("ZZZZZZZZ"), { code: "wrong_code" });
  await assert.rejects(phone.enterCode("ABC"), { code: "wrong_code" });
  await client.until("registered", () => client.auth.creds.registered);
  assert.equal(client.closed, undefined);
  await phone.enterCode(code);
  assert.equal((await client.close()).code, 515);
});

test("three wrong codes end the request", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  const code = await request(client, number);
  for (let i = 0; i < 3; i++) {
    await assert.rejects(phone.enterCode("ZZZZZZZZ"), { code: "wrong_code" });
  }
  await assert.rejects(phone.enterCode(code), { code: "code_expired" });
  await client.end();
});

test("an expired code is refused; a new one can be asked for on the same socket", async () => {
  const { number, phone } = freshPhone();
  phone.account.overrides = { codeTtlMs: 0 };
  const client = await ready();
  const code = await request(client, number);
  await assert.rejects(phone.enterCode(code), { code: "code_expired" });
  phone.account.overrides = {};
  await phone.enterCode(await request(client, number));
  assert.equal((await client.close()).code, 515);
});

test("asked twice: the second replaces the first", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  const one = await request(client, number);
  const two = await request(client, number);
  await assert.rejects(phone.enterCode(one), { code: "wrong_code" });
  await phone.enterCode(two);
  assert.equal((await client.close()).code, 515);
});

test("asked from two clients: only the later one can be linked", async () => {
  const { number, phone } = freshPhone();
  const [one, two] = [await ready(), await ready()];
  await request(one, number);
  const code = await request(two, number);
  await phone.enterCode(code);
  assert.equal((await two.close()).code, 515);
  assert.equal(one.closed, undefined);
  await one.end();
});

test("a number without WhatsApp: the refusal is visible on the raw socket only", async () => {
  const number = "499999999999";
  server.account(number).exists = false;
  const client = await ready();
  const refused = new Promise<{ content: { attrs: Record<string, string> }[] }>((resolve) => {
    client.sock.ws.on("CB:iq,type:error", resolve);
  });
  assert.equal((await client.sock.requestPairingCode(number)).length, 8);
  assert.equal((await refused).content[0]?.attrs["code"], "404");
  await client.end();
});

test("no request, no code", async () => {
  const { phone } = freshPhone();
  await assert.rejects(phone.enterCode("ABCDEFGH"), { code: "no_request" });
});

test("asked before the socket is open: 428", async () => {
  const silent = createServer().listen(0, "127.0.0.1"); // takes the connection and never answers
  await once(silent, "listening");
  const client = new Client(`ws://127.0.0.1:${(silent.address() as AddressInfo).port}`);
  await assert.rejects(client.sock.requestPairingCode("491700000199"), /Connection Closed/);
  assert.ok(client.auth.creds.me, "which poisons the credentials nevertheless");
  await client.end();
  silent.close();
});

test("a code dies with its socket; half-used credentials get 401 until they are cleaned", async () => {
  const { number, phone } = freshPhone();
  const client = await ready({ qrTimeout: 60 });
  const code = await request(client, number);
  assert.equal((await client.close()).message, "QR refs attempts ended");
  await client.until("end at the server", () => !server.codes.has(number));
  await assert.rejects(phone.enterCode(code), { code: "no_request" });

  const stuck = new Client(sim.url, client.auth);
  assert.equal((await stuck.close()).code, 401);
  delete client.auth.creds.me;
  client.auth.creds.pairingCode = undefined;
  client.auth.creds.registered = false;
  const healed = await ready({}, client.auth);
  await phone.enterCode(await request(healed, number));
  assert.equal((await healed.close()).code, 515);
});

test("the client goes away while the phone waits", async () => {
  const { number, phone } = freshPhone();
  const client = await ready();
  const code = await request(client, number);
  const entering = phone.enterCode(code);
  void client.sock.ws.close();
  await assert.rejects(entering, { code: "couldnt_link_try_again" });
  await client.close();
});
