import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { applyFault, clearFaults, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import { Client, linkByQr, troubles, trustRoot } from "./client.ts";

// Every way a connection can end, as the unmodified client reports it.

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => {
  clearFaults(server);
  assert.deepEqual(troubles(server), []);
});

let last = 0;
async function linked(options = {}) {
  const number = `4917000005${String(last++).padStart(2, "0")}`;
  const phone = server.phone(number);
  phone.account.overrides = { pushHistory: false };
  return { number, phone, client: await linkByQr(sim.url, phone, options) };
}

test("removed on the phone while connected, and the next login: 401", async () => {
  const { phone, client } = await linked();
  assert.equal(phone.unlink(), 1);
  assert.equal((await client.close()).code, 401);
  assert.equal((await new Client(sim.url, client.auth).close()).code, 401);
});

test("removed on the phone while offline: 401 at login", async () => {
  const { number, phone, client } = await linked();
  await client.end();
  assert.equal(applyFault(server, { kind: "unlink", phone: number }).affected, 1);
  assert.equal((await new Client(sim.url, client.auth).close()).code, 401);
  assert.equal(phone.account.devices.size, 0);
});

test("a second connection with the same credentials: the first gets 440, the second stays", async () => {
  const { phone, client } = await linked();
  const replaced = server.stats.replaced;
  const second = new Client(sim.url, client.auth.copy());
  assert.equal((await client.close()).code, 440);
  await second.open();
  assert.equal(server.stats.replaced, replaced + 1);
  assert.ok(phone.account.devices.get(1)?.connection);
  await second.end();
});

const STREAM_ENDS: [string, object, number][] = [
  ["stream-error", { code: 500 }, 500],
  ["stream-error", { code: 503 }, 503],
  ["stream-error", { code: 515 }, 515],
  ["stream-error", { code: 516 }, 516],
  ["stream-error", { code: 429 }, 429],
  ["stream-error", {}, 500],
  ["replaced", {}, 440],
  ["drop", {}, 428],
  ["ws-close", {}, 428],
  ["ws-close", { code: 1000 }, 428],
  ["xmlstreamend", {}, 428],
  ["downgrade", {}, 411],
];

test("faults of an open connection", async () => {
  const { number, client: first } = await linked();
  let client = first;
  for (const [kind, args, expected] of STREAM_ENDS) {
    const name = `${kind} ${JSON.stringify(args)}`;
    const hit = applyFault(server, { kind, phone: number, args: { ...args } });
    assert.equal(hit.affected, 1, name);
    assert.equal((await client.close()).code, expected, name);
    client = new Client(sim.url, client.auth);
    await client.open();
  }
  await client.end();
});

const LOGIN_FAILURES: [number | null, Record<string, string>, number][] = [
  [401, {}, 401],
  [402, { code: "104", expire: "86400" }, 402],
  [403, { logout_message_header: "Your account is locked" }, 403],
  [405, {}, 405],
  [406, {}, 406],
  [409, {}, 409],
  [411, {}, 411],
  [500, {}, 500],
  [503, {}, 503],
  [null, {}, 500],
];

test("login failures, with the attributes the real server adds; afterwards the login works", async () => {
  const { number, client } = await linked();
  await client.end();
  for (const [reason, attrs, expected] of LOGIN_FAILURES) {
    applyFault(server, { kind: "login-failure", phone: number, args: { reason }, times: 1 });
    const { code, data } = await new Client(sim.url, client.auth).close();
    assert.equal(code, expected, `reason ${reason}`);
    for (const [name, value] of Object.entries(attrs)) {
      assert.equal((data as Record<string, string>)[name], value);
    }
  }
  const again = new Client(sim.url, client.auth);
  await again.open();
  await again.end();
});

test("faults of one phone do not touch another", async () => {
  const [one, two] = [await linked(), await linked()];
  applyFault(server, { kind: "login-failure", phone: one.number, args: { reason: 403 } });
  applyFault(server, { kind: "drop", phone: one.number });
  assert.equal((await one.client.close()).code, 428);
  assert.equal(two.client.closed, undefined);
  await two.client.end();
  const again = new Client(sim.url, two.client.auth);
  await again.open();
  await again.end();
});

test("a silent server: 408 after the keep-alive time and 5 s", async () => {
  const { number, client } = await linked({ keepAliveIntervalMs: 300 });
  await server.events.once("in", ({ stanza }) => stanza.attrs["xmlns"] === "w:p");
  const from = Date.now();
  applyFault(server, { kind: "blackhole", phone: number });
  assert.equal((await client.close()).code, 408);
  assert.ok(Date.now() - from >= 5000);
});

test("own logout removes the device", async () => {
  const { phone, client } = await linked();
  const unlinked = server.events.once("unlinked");
  await client.sock.logout();
  assert.equal((await unlinked).account, phone.account);
  assert.equal((await client.close()).code, 401);
  assert.equal(phone.account.devices.size, 0);
});

test("own end: no error", async () => {
  const { client } = await linked();
  await client.end();
  assert.deepEqual(client.closed, { code: undefined, message: undefined, data: undefined });
});

test("an HTTP error instead of the upgrade raises no event, only 'unexpected-response'", async () => {
  applyFault(server, { kind: "refuse-upgrades", args: { status: 429 }, times: 1 });
  const client = new Client(sim.url);
  const status = await new Promise((resolve) => {
    client.sock.ws.on(
      "unexpected-response",
      (_request: unknown, response: { statusCode: number }) => resolve(response.statusCode),
    );
  });
  assert.equal(status, 429);
  assert.equal(client.closed, undefined);
  void client.sock.end(new Error("watchdog"));
  assert.equal((await client.close()).message, "watchdog");
  const next = new Client(sim.url);
  await next.qr();
  await next.end();
});

test("a client that is too old: 405, per server and per phone", async () => {
  applyFault(server, { kind: "min-version", args: { version: [2, 3000, 2_000_000_000] } });
  assert.equal((await new Client(sim.url).close()).code, 405);
  clearFaults(server);
  const { phone, client } = await linked();
  await client.end();
  phone.account.overrides = { minVersion: [2, 4000, 0] };
  assert.equal((await new Client(sim.url, client.auth).close()).code, 405);
  phone.account.overrides = { minVersion: [2, 2999, 2_000_000_000], pushHistory: false };
  const again = new Client(sim.url, client.auth);
  await again.open();
  await again.end();
});

test("an unanswered request leaves the session open", async () => {
  const { number, client } = await linked();
  await client.end();
  applyFault(server, { kind: "swallow-iq", phone: number, args: { xmlns: "abt" } });
  const again = new Client(sim.url, client.auth, { defaultQueryTimeoutMs: 200 });
  await again.open();
  await again.until("warning", () => again.warnings.some((text) => /timed out/.test(text)));
  assert.equal(again.closed, undefined);
  await again.end();
});

test("edge routing: the client comes back with the prefix it was given", async () => {
  const { number, client } = await linked();
  const routingInfo = Buffer.from("route me").toString("base64");
  applyFault(server, { kind: "edge-routing", phone: number, args: { routingInfo } });
  await client.until("routing info", () => client.auth.creds.routingInfo);
  await client.end();
  const payload = server.events.once("payload");
  const again = new Client(sim.url, client.auth.copy());
  assert.equal((await payload).routingInfo?.toString(), "route me");
  await again.open();
  await again.end();
});

test("what waits for an offline device is announced, drained and acknowledged", async () => {
  const { phone, client } = await linked();
  await client.end();
  const device = phone.account.devices.get(1);
  assert.ok(device);
  for (let i = 0; i < 130; i++) {
    const attrs = { id: `N${i}`, from: "@s.whatsapp.net", type: "devices", t: "1700000000" };
    device.push({ tag: "notification", attrs });
  }
  const again = new Client(sim.url, client.auth);
  await again.open();
  await again.until("empty queue", () => device.pending.size === 0);
  await again.end();
});
