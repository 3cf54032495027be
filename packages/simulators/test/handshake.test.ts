import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { Curve } from "@whiskeysockets/baileys";
import { muteLibsignal, startWhatsAppSimulator, verifyXEdDSA } from "../src/index.ts";
import { Client, linkByQr, MemoryAuth, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(sim.server), []));

test("a client that checks signatures refuses an unknown root and accepts the trusted one", async () => {
  const stock = Curve.verify;
  Curve.verify = verifyXEdDSA;
  try {
    const stranger = new Client(sim.url);
    assert.match((await stranger.close()).message ?? "", /certificate/);
    trustRoot(sim.rootPublicKey);
    const client = new Client(sim.url);
    await client.qr();
    await client.end();
  } finally {
    Curve.verify = stock;
  }
});

test("registration: the payload says who wants to be linked", async () => {
  trustRoot(sim.rootPublicKey);
  const auth = new MemoryAuth();
  const hello = sim.server.events.once("payload");
  const client = new Client(sim.url, auth);
  const connection = await hello;
  assert.deepEqual(connection.staticKey, Buffer.from(auth.creds.noiseKey.public));
  assert.equal(connection.payload?.passive, false);
  const { registration } = connection;
  assert.ok(registration);
  assert.equal(registration.registrationId, auth.creds.registrationId);
  assert.deepEqual(registration.identity, Buffer.from(auth.creds.signedIdentityKey.public));
  assert.equal(registration.displayName, "Mac OS");
  assert.equal(registration.platform, "CHROME");
  assert.equal(connection.payload.userAgent?.appVersion?.primary, 2);
  await client.qr();
  await client.end();
});

test("login: the payload names number and device", async () => {
  trustRoot(sim.rootPublicKey);
  const login = sim.server.events.once("payload", (each) => !each.payload?.devicePairingData);
  const client = await linkByQr(sim.url, sim.server.phone("491700000001"));
  const { payload } = await login;
  assert.equal(String(payload?.username), "491700000001");
  assert.deepEqual([payload?.device, payload?.passive, payload?.pull], [1, true, true]);
  assert.equal(client.sock.user?.id, "491700000001:1@s.whatsapp.net");
  await client.end();
});

test("login with another Noise key is refused", async () => {
  trustRoot(sim.rootPublicKey);
  const phone = sim.server.phone("491700000002");
  const client = await linkByQr(sim.url, phone);
  await client.end();
  const thief = client.auth.copy();
  const { public: key, private: secret } = Curve.generateKeyPair();
  Object.assign(thief.creds, { noiseKey: { public: key, private: secret } });
  assert.equal((await new Client(sim.url, thief).close()).code, 401);
});
