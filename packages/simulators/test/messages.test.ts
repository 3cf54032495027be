import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { applyFault, muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
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
  return server.phone(`4917000010${last++}`, name);
}

async function linked(): Promise<{ shop: Phone; chat: Chat; client: Client; number: string }> {
  const shop = freshPhone("Shop");
  const client = await adoptedClient(sim, shop.account.phone);
  return { shop, client, chat: new Chat(client), number: shop.account.phone };
}

function jid(phone: Phone): string {
  return `${phone.account.phone}@s.whatsapp.net`;
}

test("a contact writes: pkmsg, then msg, with LID and number", async () => {
  const { chat, client, number } = await linked();
  const ann = freshPhone("Ann");
  const one = await ann.messages.sendText(number, "hello shop");
  const { message, ...upsert } = await chat.hears("hello shop");
  assert.equal(upsert.type, "notify");
  assert.deepEqual([message.pushName, message.key.id], ["Ann", one.id]);
  assert.equal(message.key.remoteJid, `${ann.account.lid}@lid`);
  assert.equal(message.key.remoteJidAlt, jid(ann));
  await client.sock.sendMessage(jid(ann), { text: "hello Ann" });
  await client.until("reply", () => ann.messages.received.length === 1);
  await ann.messages.sendText(number, "how are you");
  await chat.hears("how are you");
  await client.until("receipts", () => ann.messages.sent[1]?.receipts.length === 2);
  const receipts = ann.messages.sent[1]?.receipts.map(
    ({ from, deviceId, type }) => `${from}:${deviceId} ${type}`,
  );
  assert.deepEqual(new Set(receipts), new Set([`${number}:0 delivered`, `${number}:1 delivered`]));
  await client.end();
});

test("addressing by number, and without the number", async () => {
  const { chat, client, shop, number } = await linked();
  const ann = freshPhone();
  shop.account.overrides = { addressing: "pn" };
  await ann.messages.sendText(number, "by number");
  const byNumber = (await chat.hears("by number")).message.key;
  assert.deepEqual(
    [byNumber.remoteJid, byNumber.remoteJidAlt],
    [jid(ann), `${ann.account.lid}@lid`],
  );
  shop.account.overrides = { addressing: "lid-no-pn" };
  await ann.messages.sendText(number, "hidden");
  const hidden = (await chat.hears("hidden")).message.key;
  assert.deepEqual([hidden.remoteJid, hidden.remoteJidAlt], [`${ann.account.lid}@lid`, undefined]);
  await client.end();
});

test("the linked device writes: the contact and the own phone read it, receipts come back", async () => {
  const { chat, client, shop, number } = await linked();
  const ann = freshPhone();
  const [known] = (await client.sock.onWhatsApp(ann.account.phone)) ?? [];
  assert.equal(known?.exists, true);
  const sent = await client.sock.sendMessage(jid(ann), { text: "offer" });
  const id = sent?.key.id ?? "";
  await chat.reaches(id, "DELIVERY_ACK");
  const [got] = ann.messages.received;
  assert.deepEqual(
    [got?.id, got?.chat, got?.from, got?.fromDevice, got?.text, got?.copies, got?.encryption],
    [id, number, number, 1, "offer", 1, "pkmsg"],
  );
  const [own] = shop.messages.received;
  assert.deepEqual(
    [own?.id, own?.chat, own?.fromMe, own?.text],
    [id, ann.account.phone, true, "offer"],
  );
  assert.ok(chat.acks.some((ack) => ack["id"] === id && ack["error"] === undefined));
  assert.equal(ann.messages.confirm(number), 1);
  await chat.reaches(id, "READ");
  assert.equal(ann.messages.confirm(number, "played"), 0, "what is read is done");
  await client.sock.sendMessage(`${ann.account.lid}@lid`, { text: "to the LID" });
  await client.until("second", () => ann.messages.received.length === 2);
  assert.equal(ann.messages.received[1]?.addressing, "lid");
  await client.end();
});

test("readMessages reaches the contact; what the phone writes reaches the linked device", async () => {
  const { chat, client, shop, number } = await linked();
  const ann = freshPhone();
  await ann.messages.sendText(number, "read me");
  const { message } = await chat.hears("read me");
  await client.sock.readMessages([message.key]);
  await client.until("read receipt", () =>
    ann.messages.sent[0]?.receipts.some(({ type }) => type === "read"),
  );
  await shop.messages.sendText(ann.account.phone, "typed on the phone");
  const own = await chat.hears("typed on the phone");
  assert.deepEqual(
    [own.message.key.fromMe, own.message.key.remoteJid],
    [true, `${ann.account.lid}@lid`],
  );
  await client.until("Ann", () => ann.messages.received[0]?.text === "typed on the phone");
  assert.equal(ann.messages.received[0]?.fromDevice, 0);
  await client.until("settled", () => shop.account.devices.get(1)?.pending.size === 0);
  await client.end();
});

test("many contacts at once: nothing lost, nothing twice, order per chat", async () => {
  const { chat, client, number } = await linked();
  const contacts = Array.from({ length: 12 }, () => freshPhone());
  const texts = (phone: Phone) =>
    Array.from({ length: 5 }, (_, index) => `${phone.account.phone} ${index}`);
  await Promise.all(
    contacts.flatMap((phone) => texts(phone).map((text) => phone.messages.sendText(number, text))),
  );
  await client.until("all", () => chat.heard.length >= 60);
  for (const phone of contacts) {
    const mine = chat.heard.filter((text) => text.startsWith(phone.account.phone));
    assert.deepEqual(mine, texts(phone));
  }
  for (const phone of contacts.slice(0, 4)) {
    for (let i = 0; i < 3; i++) await client.sock.sendMessage(jid(phone), { text: `back ${i}` });
  }
  await client.until("answers", () => contacts[3]?.messages.received.length === 3);
  for (const phone of contacts.slice(0, 4)) {
    const read = phone.messages.received.map(({ text, copies }) => `${text} ${copies}`);
    assert.deepEqual(read, ["back 0 1", "back 1 1", "back 2 1"]);
  }
  assert.equal(server.stats.phoneRetries, 0);
  await client.end();
});

test("offline queue: kept until acknowledged, in order, in batches, as append", async () => {
  const { client, shop, number } = await linked();
  const ann = freshPhone();
  await client.end();
  const texts = Array.from({ length: 130 }, (_, index) => `offline ${index}`);
  for (const text of texts) await ann.messages.sendText(number, text);
  const device = shop.account.devices.get(1);
  assert.equal(device?.pending.size, 130);
  const again = new Client(sim.url, client.auth);
  const chat = new Chat(again);
  await again.until("all", () => chat.heard.length === 130);
  assert.deepEqual(chat.heard, texts);
  assert.deepEqual([...new Set(chat.upserts.map(({ type }) => type))], ["append"]);
  await again.until("settled", () => device?.pending.size === 0);
  await again.end();
});

test("more first contacts than one-time keys: the signed key is enough", async () => {
  const { client, shop, number } = await linked();
  await client.end();
  const contacts = Array.from({ length: 34 }, () => freshPhone());
  await Promise.all(contacts.map((phone) => phone.messages.sendText(number, phone.account.phone)));
  assert.equal(shop.account.devices.get(1)?.preKeys.size, 0);
  const again = new Client(sim.url, client.auth);
  const chat = new Chat(again);
  await again.until("all", () => chat.heard.length === contacts.length);
  assert.deepEqual(new Set(chat.heard), new Set(contacts.map((phone) => phone.account.phone)));
  await again.until("new keys", () => Number(shop.account.devices.get(1)?.preKeys.size) > 0);
  await again.end();
});

test("a lost receipt: the message comes again at the next login, with the same id", async () => {
  const { chat, client, shop, number } = await linked();
  const ann = freshPhone();
  await ann.messages.sendText(number, "first");
  await chat.hears("first");
  await client.sock.sendMessage(jid(ann), { text: "answer" });
  await client.until("answer", () => ann.messages.received.length === 1);
  applyFault(server, { kind: "lose-receipts", phone: number });
  const { id } = await ann.messages.sendText(number, "twice");
  await chat.hears("twice");
  await client.end();
  server.faults.clear();
  assert.equal(shop.account.devices.get(1)?.pending.size, 1);
  const again = new Client(sim.url, client.auth);
  const second = new Chat(again);
  // the ratchet is used up: a stub, a retry receipt, and the same message encrypted anew
  await second.hears("twice");
  assert.deepEqual(new Set(second.upserts.map(({ message }) => message.key.id)), new Set([id]));
  assert.equal(ann.messages.sent[1]?.retries, 1);
  await again.until("settled", () => shop.account.devices.get(1)?.pending.size === 0);
  await again.end();
});

test("a lost receipt of a first message: stock rc14 gives it up without an event", async () => {
  const { chat, client, shop, number } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "lose-receipts", phone: number });
  await ann.messages.sendText(number, "first contact");
  await chat.hears("first contact");
  await client.end();
  server.faults.clear();
  const device = shop.account.devices.get(1);
  assert.equal(device?.pending.size, 1);
  const nack = server.events.once("ack", ({ stanza }) => stanza.attrs["class"] === "message");
  const again = new Client(sim.url, client.auth);
  const second = new Chat(again);
  assert.equal((await nack).stanza.attrs["error"], "487");
  await again.until("end of the queue", () => device.pending.size === 0);
  assert.deepEqual(second.heard, []);
  await again.end();
});

test("garble: the client asks for another copy and gets it", async () => {
  const { chat, client, number } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "garble", phone: number, deviceId: 1, times: 1 });
  const { id } = await ann.messages.sendText(number, "bent");
  await chat.hears("bent");
  assert.equal(ann.messages.sent.find((each) => each.id === id)?.retries, 1);
  await ann.messages.sendText(number, "straight");
  await chat.hears("straight");
  await client.end();
});

test("forget-sessions: a phone asks the linked device for another copy", async () => {
  const { client, number } = await linked();
  const ann = freshPhone();
  await client.sock.sendMessage(jid(ann), { text: "one" });
  await client.until("one", () => ann.messages.received.length === 1);
  await ann.messages.sendText(number, "so that both have a session");
  await client.until("receipt", () => ann.messages.sent[0]?.receipts.length === 2);
  applyFault(server, { kind: "forget-sessions", phone: ann.account.phone });
  await client.sock.sendMessage(jid(ann), { text: "two" });
  await client.until("two", () => ann.messages.received.some(({ text }) => text === "two"));
  assert.deepEqual(
    ann.messages.received.map(({ text, copies }) => [text, copies]),
    [
      ["one", 1],
      ["two", 1],
    ],
  );
  assert.ok(server.stats.phoneRetries >= 1);
  await client.end();
});

test("refused sends: the ack carries the code, nobody gets the message", async () => {
  const { chat, client, number } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "refuse-message", phone: number, times: 1, args: { error: 479 } });
  const refused = await client.sock.sendMessage(jid(ann), { text: "no" });
  await client.until("nack", () =>
    chat.acks.some((ack) => ack["id"] === refused?.key.id && ack["error"] === "479"),
  );
  await client.sock.sendMessage(jid(ann), { text: "yes" });
  await client.until("next", () => ann.messages.received.length > 0);
  assert.deepEqual(
    ann.messages.received.map(({ text }) => text),
    ["yes"],
  );
  await client.end();
});

test("timelock: strangers are out of reach (463), known chats are not, and the client is told", async () => {
  const { chat, client, shop, number } = await linked();
  const [known, stranger] = [freshPhone(), freshPhone()];
  await known.messages.sendText(number, "I know you");
  await chat.hears("I know you");
  let pushed = false;
  client.sock.ev.on("connection.update", ({ reachoutTimeLock }) => {
    if (reachoutTimeLock?.isActive) pushed = true;
  });
  applyFault(server, { kind: "timelock", phone: number, args: { seconds: 600 } });
  await client.until("push", () => pushed);
  const before = shop.account.timelock?.endsAt ?? 0;
  const { key } = (await client.sock.sendMessage(jid(stranger), { text: "cold" })) ?? {};
  await client.until("463", () =>
    chat.acks.some((ack) => ack["id"] === key?.id && ack["error"] === "463"),
  );
  assert.ok(Number(shop.account.timelock?.endsAt) > before);
  await client.sock.sendMessage(jid(known), { text: "warm" });
  await client.until("warm", () => known.messages.received.length === 1);
  const state = await client.sock.fetchAccountReachoutTimelock();
  assert.equal(state.isActive, true);
  applyFault(server, { kind: "timelock", phone: number, args: { active: false } });
  assert.equal((await client.sock.fetchAccountReachoutTimelock()).isActive, false);
  assert.equal(stranger.messages.received.length, 0);
  await client.end();
});

test("lost acks: delivered or not, the client cannot tell; the same id again is counted", async () => {
  const { chat, client, number } = await linked();
  const ann = freshPhone();
  applyFault(server, { kind: "lose-message", phone: number, times: 1, args: { deliver: true } });
  const sent = await client.sock.sendMessage(jid(ann), { text: "did it arrive?" });
  const id = sent?.key.id ?? "";
  await client.until("arrival", () => ann.messages.received.length === 1);
  assert.ok(!chat.acks.some((ack) => ack["id"] === id));
  await client.sock.sendMessage(jid(ann), { text: "did it arrive?" }, { messageId: id });
  await client.until("copy", () => ann.messages.received[0]?.copies === 2);
  assert.equal(ann.messages.received.length, 1);
  applyFault(server, { kind: "lose-message", phone: number, times: 1, args: { cut: true } });
  await client.sock.sendMessage(jid(ann), { text: "lost" }).catch(() => undefined);
  assert.equal((await client.close()).code, 428);
  assert.equal(ann.messages.received.length, 1);
});

test("one linked number writes to another", async () => {
  const [one, two] = [await linked(), await linked()];
  const { key } =
    (await one.client.sock.sendMessage(jid(two.shop), { text: "shop to shop" })) ?? {};
  await two.chat.hears("shop to shop");
  await one.chat.reaches(key?.id ?? "", "DELIVERY_ACK");
  await two.client.sock.sendMessage(jid(one.shop), { text: "and back" });
  await one.chat.hears("and back");
  await Promise.all([one.client.end(), two.client.end()]);
});

test("a phone without a connection gets its messages later; autoReply and readAfterMs", async () => {
  const { chat, client } = await linked();
  const ann = freshPhone();
  ann.isOnline = false;
  const sent = await client.sock.sendMessage(jid(ann), { text: "wait" });
  await client.until("waiting", () => ann.messages.waiting === 1);
  assert.equal(ann.messages.received.length, 0);
  await assert.rejects(ann.messages.sendText("491700000999", "x"), { code: "offline" });
  ann.account.overrides = { autoReply: "echo: {text}", readAfterMs: 0 };
  ann.isOnline = true;
  await chat.hears("echo: wait");
  await chat.reaches(sent?.key.id ?? "", "READ");
  await client.end();
});
