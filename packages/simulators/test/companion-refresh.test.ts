import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { applyFault, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import type { PhoneOptions } from "../src/index.ts";
import { Client, troubles, trustRoot } from "./client.ts";
import { OutsideClient } from "./outside-client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

const REFUSED = { code: "couldnt_link_try_again" };

let last = 0;
function phoneWith(options: Partial<PhoneOptions>) {
  const number = `4917000002${String(last++).padStart(2, "0")}`;
  const phone = server.phone(number);
  phone.account.overrides = options;
  return { number, phone };
}

/** every `companion_reg_refresh` of this client was acknowledged exactly once */
function assertAcks(client: Client, count: number): void {
  const connection = [...server.connections].find((each) =>
    each.staticKey.equals(Buffer.from(client.auth.creds.noiseKey.public)),
  );
  assert.deepEqual([...(connection?.refresh.acks.values() ?? [])], Array(count).fill(1));
}

for (const refreshChild of ["companion_reg_refresh", "pair-device-rotate-qr"]) {
  test(`on-scan with ${refreshChild}: the retired QR never links, the redrawn one does`, async () => {
    const { phone } = phoneWith({ companionRefresh: "on-scan", refreshChild });
    const client = new OutsideClient(sim.url);
    await client.qr();
    const retired = client.draw(0);
    await assert.rejects(phone.scan(retired), REFUSED);
    await client.until("rotation", () => client.rotations === 1);
    await assert.rejects(phone.scan(retired), REFUSED);
    const redrawn = client.draw(0);
    assert.equal(redrawn.split(",")[0], retired.split(",")[0], "the ref stays");
    const [device] = await Promise.all([phone.scan(redrawn), client.close()]);
    assert.equal(device.displayName, "Acme");
    assert.equal(client.rotations, 1);
    assert.equal(client.closed?.code, 515);
    const again = new Client(sim.url, client.auth);
    await again.open();
    await again.end();
  });
}

test("refreshTimes: each scan costs one rotation more", async () => {
  const { phone } = phoneWith({ companionRefresh: "on-scan", refreshTimes: 2 });
  const client = new OutsideClient(sim.url);
  await client.qr();
  for (const times of [1, 2]) {
    await assert.rejects(phone.scan(client.draw()), REFUSED);
    await client.until("rotation", () => client.rotations === times);
  }
  assertAcks(client, 2);
  await phone.scan(client.draw(3));
  await client.close();
});

test("a rotation without the acknowledgement does not link", async () => {
  const { phone } = phoneWith({ companionRefresh: "on-scan" });
  const client = new OutsideClient(sim.url, { acknowledges: false });
  await client.qr();
  await assert.rejects(phone.scan(client.draw()), REFUSED);
  await client.until("rotation", () => client.rotations === 1);
  await assert.rejects(phone.scan(client.draw()), REFUSED);
  await client.end();
});

test("the stock client goes on showing the retired secret and cannot link", async () => {
  const { phone } = phoneWith({ companionRefresh: "on-scan" });
  const client = new Client(sim.url, undefined, { qrTimeout: 100 });
  await assert.rejects(phone.scan(await client.qr(0)), REFUSED);
  await assert.rejects(phone.scan(await client.qr(1)), REFUSED);
  await client.close();
});

test("an unknown child means nothing: no rotation, and the same QR links", async () => {
  const { phone } = phoneWith({ companionRefresh: "on-scan", refreshChild: "something-else" });
  const client = new OutsideClient(sim.url);
  await client.qr();
  await phone.scan(client.draw());
  await client.close();
  assert.deepEqual([client.rotations, client.closed?.code], [0, 515]);
});

test("before-scan: the client has rotated before anybody scans", async () => {
  await using early = await startWhatsAppSimulator({ port: 0, companionRefresh: "before-scan" });
  trustRoot(early.rootPublicKey);
  const client = new OutsideClient(early.url);
  const secret = client.auth.creds.advSecretKey;
  await client.until("rotation", () => client.rotations === 1);
  assert.notEqual(client.auth.creds.advSecretKey, secret);
  // The server takes the new QR only after the acknowledgement, which is on its way.
  await client.until("acknowledged", () =>
    [...early.server.connections].every((connection) => connection.refresh.isAcknowledged),
  );
  await early.server.phone("491700000290").scan(client.draw());
  assert.equal((await client.close()).code, 515);
  assert.deepEqual(troubles(early.server), []);
  trustRoot(sim.rootPublicKey);
});

test("before-scan of a phone: while a code is shown the rotation is harmless", async () => {
  const { number, phone } = phoneWith({ companionRefresh: "before-scan" });
  const client = new OutsideClient(sim.url);
  await client.qr();
  const code = await client.requestCode(number);
  await client.until("rotation", () => client.rotations === 1);
  await phone.enterCode(code);
  assert.equal((await client.close()).code, 515);
});

test("after-finish: with the derived secret kept it links", async () => {
  const { number, phone } = phoneWith({ companionRefresh: "after-finish" });
  const client = new OutsideClient(sim.url);
  await client.qr();
  await phone.enterCode(await client.requestCode(number));
  assert.equal((await client.close()).code, 515);
  assert.equal(client.rotations, 1);
});

test("after-finish: rotated blindly it fails on the client's side", async () => {
  const { number, phone } = phoneWith({ companionRefresh: "after-finish" });
  const client = new OutsideClient(sim.url, { keepsDerivedSecrets: false });
  await client.qr();
  await assert.rejects(phone.enterCode(await client.requestCode(number)), REFUSED);
  const { code, message } = await client.close();
  assert.deepEqual([code, message], [500, "Invalid account signature"]);
  assert.equal(phone.account.devices.size, 0);
});

test("on demand, for the connection that shows a QR", async () => {
  const { phone } = phoneWith({});
  const [client, other] = [new OutsideClient(sim.url), new OutsideClient(sim.url)];
  await Promise.all([client.qr(), other.qr()]);
  const retired = client.draw();
  const hit = applyFault(server, { kind: "companion-refresh", args: { qr: retired } });
  assert.equal(hit.affected, 1);
  await client.until("rotation", () => client.rotations === 1);
  assertAcks(client, 1);
  await assert.rejects(phone.scan(retired), REFUSED);
  await phone.scan(client.draw());
  await client.close();
  assert.equal(other.rotations, 0);
  await other.end();
});
