import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, test } from "node:test";
import { applyFault, createGroup, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import type { Phone } from "../src/index.ts";
import { adoptedClient } from "./adopted.ts";
import { Chat } from "./chat.ts";
import { Client, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

let last = 10;
function freshPhone(name?: string): Phone {
  return server.phone(`4917000012${last++}`, name);
}

async function linked() {
  const shop = freshPhone("Shop");
  const client = await adoptedClient(sim, shop.account.phone);
  return { shop, client, chat: new Chat(client), number: shop.account.phone };
}

function jid(phone: Phone): string {
  return `${phone.account.phone}@s.whatsapp.net`;
}

function seen(phone: Phone) {
  return phone.messages.received.map(({ text, copies, resent }) => [text, copies, resent]);
}

test("garble towards a contact: it asks again; what comes to all is told from a duplicate", async () => {
  const { client, shop } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "garble", phone: ann.account.phone, times: 1 });
  await client.sock.sendMessage(jid(ann), { text: "bent" });
  await client.until("Ann", () => ann.messages.received.length === 1);
  assert.deepEqual(seen(ann), [["bent", 1, 0]]);
  // rc14 answers a phone's request by sending to every device again
  await client.until("own phone", () => shop.messages.received[0]?.resent === 1);
  assert.deepEqual(seen(shop), [["bent", 1, 1]]);
  await client.end();
});

test("garble towards the own phone: its copy comes again", async () => {
  const { client, shop } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "garble", phone: shop.account.phone, deviceId: 0, times: 1 });
  await client.sock.sendMessage(jid(ann), { text: "copy" });
  await client.until("own phone", () => shop.messages.received.length === 1);
  assert.deepEqual(
    [shop.messages.received[0]?.chat, seen(shop)],
    [ann.account.phone, [["copy", 1, 0]]],
  );
  await client.end();
});

test("garble towards a member of a group: it asks again", async () => {
  const { client, shop } = await linked();
  const [ann, bob] = [freshPhone(), freshPhone()];
  const group = createGroup(ann.account, "Retry", [bob.account, shop.account]);
  await client.sock.sendMessage(group.jid, { text: "first" });
  await client.until("first", () => bob.messages.received.length === 1);
  applyFault(server, { kind: "garble", phone: bob.account.phone, times: 1 });
  await client.sock.sendMessage(group.jid, { text: "bent" });
  await client.until("bent", () => bob.messages.received.length === 2);
  await client.sock.sendMessage(group.jid, { text: "straight" });
  await client.until("straight", () => bob.messages.received.length === 3);
  assert.deepEqual(
    seen(bob).map(([text, copies]) => [text, copies]),
    [
      ["first", 1],
      ["bent", 1],
      ["straight", 1],
    ],
  );
  await client.end();
});

test("holdOfflineEnd: the queue is drained and its end not announced; a cut there loses events", async () => {
  const { client, shop, number } = await linked();
  const ann = freshPhone();
  await client.end();
  for (const text of ["one", "two"]) await ann.messages.sendText(number, text);
  shop.account.overrides = { holdOfflineEnd: true };
  const held = new Client(sim.url, client.auth);
  const chat = new Chat(held);
  const device = shop.account.devices.get(1);
  await held.until("drained", () => device?.pending.size === 0);
  assert.deepEqual(chat.heard, []);
  applyFault(server, { kind: "drop", phone: number });
  await held.close();
  shop.account.overrides = {};
  const again = new Client(sim.url, client.auth);
  const after2 = new Chat(again);
  await again.open();
  await ann.messages.sendText(number, "three");
  await after2.hears("three");
  assert.deepEqual(after2.heard, ["three"]);
  await again.end();
});

test("requireLid and requireToken: 463 for one contact only", async () => {
  const { client, chat, number } = await linked();
  const [strict, shy] = [freshPhone(), freshPhone()];
  strict.account.overrides = { requireLid: true };
  shy.account.overrides = { requireToken: true };
  const refused = async (phone: Phone) => {
    const { key } = (await client.sock.sendMessage(jid(phone), { text: "cold" })) ?? {};
    await client.until("463", () =>
      chat.acks.some((ack) => ack["id"] === key?.id && ack["error"] === "463"),
    );
  };
  await refused(strict);
  await refused(shy);
  await client.sock.sendMessage(`${strict.account.lid}@lid`, { text: "to the LID" });
  await client.until("LID", () => strict.messages.received[0]?.text === "to the LID");
  await shy.messages.sendText(number, "now we know each other");
  await chat.hears("now we know each other");
  await client.sock.sendMessage(jid(shy), { text: "warm" });
  await client.until("warm", () => shy.messages.received[0]?.text === "warm");
  await client.end();
});

test("a recording is played; nobody answers a number without WhatsApp", async () => {
  const { client, chat, number } = await linked();
  const ann = freshPhone();
  const sent = await client.sock.sendMessage(jid(ann), { text: "listen" });
  const id = sent?.key.id ?? "";
  await client.until("arrival", () => ann.messages.received.length === 1);
  assert.equal(ann.messages.confirm(number, "played", id), 1);
  await chat.reaches(id, "PLAYED");
  const nobody = freshPhone();
  nobody.account.exists = false;
  await assert.rejects(ann.messages.sendText(nobody.account.phone, "x"), { code: "no_account" });
  assert.deepEqual(await client.sock.onWhatsApp(nobody.account.phone), []);
  await client.end();
});

test("a restart from the file keeps what was not acknowledged, the ratchets and the groups", async () => {
  const folder = await mkdtemp(join(tmpdir(), "simulator-messages-"));
  after(() => rm(folder, { recursive: true }));
  const stateFile = join(folder, "state.json");
  const first = await startWhatsAppSimulator({ port: 0, stateFile });
  trustRoot(first.rootPublicKey);
  const shop = first.server.phone("491700001301");
  const ann = first.server.phone("491700001302");
  const client = await adoptedClient(first, shop.account.phone);
  const before = new Chat(client);
  const group = createGroup(ann.account, "Kept", [shop.account]);
  await ann.messages.sendText("491700001301", "before");
  await before.hears("before");
  await client.end();
  await ann.messages.sendText("491700001301", "meanwhile");
  await ann.messages.sendText(group.jid, "to the group");
  await first.close();

  await using second = await startWhatsAppSimulator({ port: 0, stateFile });
  const again = new Client(second.url, client.auth);
  const chat = new Chat(again);
  await chat.hears("to the group");
  assert.deepEqual(chat.heard, ["meanwhile", "to the group"]);
  const restored = second.server.phone("491700001302");
  await restored.messages.sendText("491700001301", "after");
  await chat.hears("after");
  await restored.messages.sendText(group.jid, "group after");
  await chat.hears("group after");
  await again.sock.sendMessage("491700001302@s.whatsapp.net", { text: "answer" });
  await again.until("answer", () => restored.messages.received[0]?.text === "answer");
  await again.end();
  assert.deepEqual(troubles(second.server), []);
});
