import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import type { ServerEvents } from "../src/index.ts";
import { Client, linkByQr, MemoryAuth, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

test("scan, 515, login, keys, history, reconnect from a stored copy", async () => {
  const phone = server.phone("491700000002", "Lena");
  const auth = new MemoryAuth();
  const first = new Client(sim.url, auth);
  const qr = await first.qr();
  assert.ok(qr.startsWith("https://wa.me/settings/linked_devices#"));
  const device = await phone.scan(qr);
  assert.deepEqual([device.id, device.displayName, device.platform], [1, "Mac OS", "CHROME"]);
  assert.equal((await first.close()).code, 515);
  assert.ok(first.isNewLogin && auth.creds.account);
  assert.equal(auth.creds.me?.lid, `${phone.account.lid}:1@lid`);
  assert.equal(auth.creds.platform, "android");

  const asked: string[] = [];
  const off = server.events.on("in", ({ stanza }: ServerEvents["in"]) => {
    if (stanza.tag === "iq") asked.push(`${stanza.attrs["xmlns"]}/${stanza.attrs["type"]}`);
  });
  const second = new Client(sim.url, auth);
  await second.open();
  await second.until("history", () => second.historySets > 0);
  await second.until("app-state key", () => auth.creds.myAppStateKeyId);
  await second.until("sync", () => auth.creds.accountSyncCounter === 1);
  await second.until("push name", () => auth.creds.me?.name === "Lena");
  await second.until("settled queue", () => device.pending.size === 0);
  assert.equal(device.preKeys.size, 811); // 812 uploaded, one spent by the phone's first message
  for (const family of ["encrypt/set", "passive/set", "abt/get", "w:sync:app:state/set"]) {
    assert.ok(asked.includes(family), family);
  }
  const unexpected = second.warnings.filter((text) => !text.startsWith("no name present"));
  assert.deepEqual(unexpected, []);
  await second.end();

  asked.length = 0;
  const third = new Client(sim.url, auth.copy());
  await third.open();
  assert.ok(!asked.includes("encrypt/set"), "a reconnect uploads nothing");
  await third.end();
  off();
});

test("pushHistory false: the phone sends nothing", async () => {
  const phone = server.phone("491700000003");
  phone.account.overrides = { pushHistory: false };
  const client = await linkByQr(sim.url, phone);
  const [device] = phone.account.devices.values();
  assert.deepEqual([device?.greeted, device?.pending.size], [false, 0]);
  await client.end();
});

test("six QRs, then 408; the same credentials start the next round", async () => {
  const client = new Client(sim.url, undefined, { qrTimeout: 120 });
  const end = await client.close();
  assert.deepEqual([end.code, end.message], [408, "QR refs attempts ended"]);
  assert.equal(new Set(client.qrs.map((qr) => qr.split(",")[0])).size, 6);
  assert.equal(new Set(client.qrs.map((qr) => qr.slice(qr.indexOf(",")))).size, 1);
  const phone = server.phone("491700000004");
  await assert.rejects(phone.scan(client.qrs[5] ?? ""), { code: "qr_expired" });
  assert.equal(phone.account.lastError, "qr_expired");
  const again = new Client(sim.url, client.auth);
  await again.qr();
  await again.end();
});

test("an older QR of a live connection still links, once", async () => {
  const phone = server.phone("491700000005");
  const client = new Client(sim.url, undefined, { qrTimeout: 200 });
  await client.qr(1);
  await phone.scan(client.qrs[0] ?? "");
  await assert.rejects(phone.scan(client.qrs[1] ?? ""), { code: "qr_expired" });
  assert.equal((await client.close()).code, 515);
});

test("qrRefs of the server", async () => {
  await using small = await startWhatsAppSimulator({ port: 0, qrRefs: 2 });
  const client = new Client(small.url, undefined, { qrTimeout: 50 });
  assert.equal((await client.close()).code, 408);
  assert.equal(client.qrs.length, 2);
});

test("what is not a linking QR, an offline phone, a number without WhatsApp", async () => {
  const phone = server.phone("491700000006");
  const client = new Client(sim.url);
  const qr = await client.qr();
  const broken = qr.split(",").with(3, "c2hvcnQ=").join(",");
  for (const text of ["", "https://example.org/", "2@abc,x,y,z,1", broken]) {
    await assert.rejects(phone.scan(text), { code: "qr_unreadable" });
  }
  phone.isOnline = false;
  await assert.rejects(phone.scan(qr), { code: "offline" });
  phone.isOnline = true;
  phone.account.exists = false;
  await assert.rejects(phone.scan(qr), { code: "no_account" });
  phone.account.exists = true;
  assert.equal((await phone.scan(qr)).id, 1);
  assert.equal(phone.account.lastError, undefined);
  await client.close();
});

test("a QR with somebody else's secret does not link, and the client says so", async () => {
  const phone = server.phone("491700000007");
  const client = new Client(sim.url);
  const qr = await client.qr();
  const forged = qr.split(",").with(3, Buffer.alloc(32, 9).toString("base64")).join(",");
  await assert.rejects(phone.scan(forged), { code: "couldnt_link_try_again" });
  const { code, message } = await client.close();
  assert.deepEqual([code, message], [500, "Invalid account signature"]);
  assert.equal(phone.account.devices.size, 0);
});

test("a fifth device is refused, until one is removed", async () => {
  const phone = server.phone("491700000008");
  const clients: Client[] = [];
  for (let i = 0; i < 4; i++) clients.push(await linkByQr(sim.url, phone));
  const fifth = new Client(sim.url);
  const qr = await fifth.qr();
  await assert.rejects(phone.scan(qr), { code: "too_many_devices" });
  assert.equal(phone.unlink(2), 1);
  assert.equal((await clients[1]?.close())?.code, 401);
  assert.equal((await phone.scan(qr)).id, 5);
  await fifth.close();
  await Promise.all(clients.map((client) => client.end()));
});
