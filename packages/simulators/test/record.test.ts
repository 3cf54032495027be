import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { applyFault, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import type { LoginRecord, RecordSummary } from "../src/index.ts";
import { adopted, makeCredentials } from "./adopted.ts";
import type { AdoptAnswer } from "./adopted.ts";
import { Client, linkByQr, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(sim.server), []));

async function get<T>(path: string): Promise<T> {
  return (await (await fetch(sim.httpUrl + path)).json()) as T;
}

async function adoptMany(requests: unknown): Promise<{ status: number; body: AdoptAnswer[] }> {
  const body = JSON.stringify(requests);
  const response = await fetch(`${sim.httpUrl}/adopt`, { method: "POST", body });
  return { status: response.status, body: (await response.json()) as AdoptAnswer[] };
}

/** Ends the client and waits until the server has seen it. */
async function ends(client: Client): Promise<void> {
  const closed = sim.server.events.once("closed");
  await Promise.all([closed, client.end()]);
}

test("record: label, times, stanzas and the end of every login", async () => {
  const phone = "491700000901";
  const client = await linkByQr(`${sim.url}?label=worker-a`, sim.server.phone(phone));
  await ends(client);
  const [first] = (await get<{ logins: LoginRecord[] }>(`/record?phone=${phone}`)).logins;
  assert.equal(first?.label, "worker-a");
  assert.deepEqual([first.phone, first.deviceId, first.closedBy], [phone, 1, "client"]);
  assert.ok(first.stanzas >= 4 && first.lateStanzas === 0);
  assert.ok(Number(first.closedAt) >= Number(first.lastStanzaAt));
  assert.ok(Number(first.lastStanzaAt) >= first.openedAt);
  const since = Number(first.closedAt) + 1;
  const again = new Client(sim.url, client.auth);
  await again.open();
  const dropped = sim.server.events.once("closed");
  applyFault(sim.server, { kind: "drop", phone });
  await Promise.all([dropped, again.close()]);
  const later = sim.server.record.list({ phone, since });
  assert.deepEqual(
    later.map(({ label, closedBy }) => [label, closedBy]),
    [[null, "dropped"]],
  );
  const bad = await fetch(`${sim.httpUrl}/record?since=yesterday`);
  assert.equal(bad.status, 400);
});

test("summary: two at once overlap; what the older one sends is counted and not acted on", async () => {
  const phone = "491700000902";
  const client = await linkByQr(`${sim.url}?label=a`, sim.server.phone(phone));
  const since = Date.now();
  // the older client must not learn that it was replaced, as a stopped process would not
  const { connection } = sim.server.account(phone).devices.get(1) ?? {};
  assert.ok(connection);
  connection.streamError = () => undefined;
  const newer = new Client(`${sim.url}?label=b`, client.auth.copy());
  await newer.open();
  const presences: string[] = [];
  sim.server.events.on("presence", (event) => presences.push(event.connection.label ?? ""));
  await client.sock.sendNode({ tag: "presence", attrs: { type: "unavailable" } });
  await client.until("late stanza", () => sim.server.record.summary({ since }).lateStanzas > 0);
  const during = await get<RecordSummary>(`/record/summary?since=${since}`);
  assert.equal(during.open, 2);
  const [overlap] = during.overlaps;
  assert.deepEqual([overlap?.phone, overlap?.older.label, overlap?.newer.label], [phone, "a", "b"]);
  assert.ok(overlap?.late.includes("presence"));
  assert.ok(!presences.includes("a"));
  await ends(client);
  await ends(newer);
  const old = sim.server.record.list({ phone }).find((each) => each.lateStanzas > 0);
  assert.deepEqual([old?.label, old?.closedBy], ["a", "replaced"]);
  assert.equal((await get<RecordSummary>("/record/summary")).open, 0);
});

test("pre-keys-low: the client writes and uploads new keys, again and again", async () => {
  const phone = "491700000903";
  const client = await linkByQr(sim.url, sim.server.phone(phone));
  const device = sim.server.account(phone).devices.get(1);
  const before = device?.preKeys.size ?? 0;
  for (const round of [1, 2]) {
    const uploaded = sim.server.events.once("pre-keys", (each) => each.device === device);
    const answer = await fetch(`${sim.httpUrl}/faults`, {
      method: "POST",
      body: JSON.stringify({ kind: "pre-keys-low", phone }),
    });
    assert.deepEqual(await answer.json(), { affected: 1 });
    assert.equal((await uploaded).count, 5);
    assert.equal(device?.preKeys.size, before + 5 * round);
    assert.ok(client.auth.data.keys["pre-key"]?.[String(client.auth.creds.nextPreKeyId - 1)]);
  }
  await client.until("settled", () => device?.pending.size === 0);
  await client.end();
});

test("adopt takes an array; with one broken entry nobody is registered", async () => {
  const phones = ["491700000911", "491700000912", "491700000913"];
  const made = phones.map((phone) => makeCredentials(phone));
  const broken = [made[0]?.request, { ...made[1]?.request, identity: "AA==" }];
  assert.equal((await adoptMany(broken)).status, 400);
  assert.equal((await adoptMany([1])).status, 400);
  assert.equal(sim.server.directory.get("491700000911"), undefined);
  const { status, body } = await adoptMany(made.map((each) => each.request));
  assert.equal(status, 200);
  assert.deepEqual(
    body.map((each) => each.me.id),
    phones.map((phone) => `${phone}:1@s.whatsapp.net`),
  );
  const [second] = body.slice(1);
  const auth = made[1]?.auth;
  assert.ok(second && auth);
  const client = new Client(sim.url, adopted(auth, second));
  await client.open();
  assert.equal(client.sock.user?.id, "491700000912:1@s.whatsapp.net");
  await client.end();
});
