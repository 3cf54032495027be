import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { Agent } from "node:https";
import { connect } from "node:net";
import type { NetConnectOpts } from "node:net";
import { after, afterEach, test } from "node:test";
import { decryptPollVote, downloadMediaMessage, proto } from "@whiskeysockets/baileys";
import {
  addMembers,
  applyFault,
  createGroup,
  muteLibsignal,
  removeMembers,
  startWhatsAppSimulator,
} from "../src/index.ts";
import type { Phone } from "../src/index.ts";
import { adoptedClient } from "./adopted.ts";
import { Chat } from "./chat.ts";
import { troubles, trustRoot } from "./client.ts";

muteLibsignal();
const sim = await startWhatsAppSimulator({ port: 0 });
const { server } = sim;
trustRoot(sim.rootPublicKey);
after(() => sim.close());
afterEach(() => assert.deepEqual(troubles(server), []));

/** Baileys uploads to https only; this opens a plain connection for it. */
class PlainAgent extends Agent {
  override createConnection(options: NetConnectOpts) {
    return connect(options);
  }
}

let last = 10;
function freshPhone(name?: string): Phone {
  return server.phone(`4917000011${last++}`, name);
}

async function linked(name = "Shop") {
  const shop = freshPhone(name);
  const options = { fetchAgent: new PlainAgent() };
  const client = await adoptedClient(sim, shop.account.phone, options);
  return { shop, client, chat: new Chat(client), number: shop.account.phone };
}

function jid(phone: Phone): string {
  return `${phone.account.phone}@s.whatsapp.net`;
}

test("media both ways: encrypted, stored, downloaded, checked", async () => {
  const { client, chat, number } = await linked();
  const ann = freshPhone();
  const pdf = Buffer.from("%PDF simulated ".repeat(1000));
  const content = {
    document: pdf,
    mimetype: "application/pdf",
    fileName: "offer.pdf",
    caption: "c",
  };
  await client.sock.sendMessage(jid(ann), content);
  await client.until("document", () => ann.messages.received.length === 1);
  const [document] = ann.messages.received;
  assert.deepEqual([document?.kind, document?.text], ["document", "c"]);
  assert.deepEqual(document?.media, {
    mimetype: "application/pdf",
    fileName: "offer.pdf",
    size: pdf.length,
    sha256: createHash("sha256").update(pdf).digest("hex"),
    state: "ok",
  });
  const file = await fetch(
    `${sim.httpUrl}/phones/${ann.account.phone}/messages/${document?.id}/file`,
  );
  assert.ok(Buffer.from(await file.arrayBuffer()).equals(pdf));

  const photo = Buffer.alloc(5000, 7);
  const image = { kind: "image", bytes: photo, mimetype: "image/jpeg", caption: "photo" } as const;
  await ann.messages.send(number, image);
  const { message } = await client.until("image", () =>
    chat.upserts.find((each) => each.message.message?.imageMessage),
  );
  assert.equal(message.message?.imageMessage?.caption, "photo");
  assert.ok((await downloadMediaMessage(message, "buffer", {})).equals(photo));
  await client.end();
});

test("reactions, edits and deletes, both ways", async () => {
  const { client, chat, number } = await linked();
  const ann = freshPhone();
  const { id } = await ann.messages.sendText(number, "helo");
  const { message } = await chat.hears("helo");
  await client.sock.sendMessage(jid(ann), { react: { text: "👍", key: message.key } });
  await client.until("reaction", () => ann.messages.received[0]?.kind === "reaction");
  assert.deepEqual([ann.messages.received[0]?.target, ann.messages.received[0]?.text], [id, "👍"]);

  await ann.messages.send(number, { kind: "edit", target: id, text: "hello" });
  const edited = await client.until("edit", () =>
    chat.updates.find(({ update }) => update.message?.editedMessage),
  );
  assert.equal(edited.key.id, id);
  assert.equal(edited.update.message?.editedMessage?.message?.conversation, "hello");
  await ann.messages.send(number, { kind: "delete", target: id });
  const revoke = proto.WebMessageInfo.StubType.REVOKE;
  const deleted = await client.until("delete", () =>
    chat.updates.find(({ update }) => update.messageStubType === revoke),
  );
  assert.equal(deleted.key.id, id);

  const own = (await client.sock.sendMessage(jid(ann), { text: "prise" }))?.key;
  assert.ok(own?.id);
  await ann.messages.send(number, { kind: "reaction", target: own.id, emoji: "❤" });
  const reaction = await client.until("heart", () =>
    chat.upserts.find((each) => each.message.message?.reactionMessage?.text === "❤"),
  );
  const { key } = reaction.message.message?.reactionMessage ?? {};
  assert.deepEqual([key?.id, key?.fromMe], [own.id, true]);
  await client.sock.sendMessage(jid(ann), { text: "price", edit: own });
  await client.sock.sendMessage(jid(ann), { delete: own });
  await client.until("all", () => ann.messages.received.length === 4);
  assert.deepEqual(
    ann.messages.received.slice(1).map(({ kind, text, target }) => [kind, text, target]),
    [
      ["text", "prise", undefined],
      ["edit", "price", own.id],
      ["delete", undefined, own.id],
    ],
  );
  await client.end();
});

test("other kinds: location, contact, quote, and whatever the protocol knows", async () => {
  const { client, chat, number } = await linked();
  const ann = freshPhone();
  const { id } = await ann.messages.sendText(number, "one");
  await ann.messages.send(number, { kind: "text", text: "two", quote: id });
  await ann.messages.send(number, { kind: "location", latitude: 52.5, longitude: 13.4 });
  await ann.messages.send(number, { kind: "contact", name: "Bob", vcard: "BEGIN:VCARD" });
  const message = {
    listResponseMessage: { title: "row", singleSelectReply: { selectedRowId: "r" } },
  };
  await ann.messages.send(number, { kind: "raw", message });
  await client.until("all", () => chat.upserts.length === 5);
  const contents = chat.upserts.map((each) => each.message.message);
  assert.equal(contents[1]?.extendedTextMessage?.contextInfo?.stanzaId, id);
  assert.equal(contents[2]?.locationMessage?.degreesLatitude, 52.5);
  assert.equal(contents[3]?.contactMessage?.displayName, "Bob");
  assert.equal(contents[4]?.listResponseMessage?.singleSelectReply?.selectedRowId, "r");
  await client.end();
});

test("a poll and a vote that opens with the poll's secret", async () => {
  const { client, chat, shop, number } = await linked();
  const ann = freshPhone();
  const poll = { kind: "poll", name: "Coming?", options: ["yes", "no"], selectable: 1 } as const;
  const { id } = await ann.messages.send(number, poll);
  const asked = await client.until("poll", () =>
    chat.upserts.find((each) => each.message.message?.pollCreationMessageV3),
  );
  const pollEncKey = asked.message.message?.messageContextInfo?.messageSecret;
  assert.ok(pollEncKey);
  await ann.messages.send(number, { kind: "vote", target: id, options: ["no"] });
  const cast = await client.until("vote", () =>
    chat.upserts.find((each) => each.message.message?.pollUpdateMessage),
  );
  const { vote, pollCreationMessageKey } = cast.message.message?.pollUpdateMessage ?? {};
  assert.equal(pollCreationMessageKey?.id, id);
  const address = `${ann.account.lid}@lid`;
  const opened = decryptPollVote(vote ?? {}, {
    pollCreatorJid: address,
    pollMsgId: id,
    pollEncKey,
    voterJid: address,
  });
  const hash = createHash("sha256").update("no").digest();
  assert.deepEqual(
    opened.selectedOptions?.map((each) => Buffer.from(each)),
    [hash],
  );
  assert.deepEqual(
    shop.messages.received.map(({ kind, target }) => [kind, target]),
    [
      ["poll", undefined],
      ["vote", id],
    ],
  );
  const strange = { kind: "vote", target: "3A00", options: [] } as const;
  await assert.rejects(ann.messages.send(number, strange), { code: "no_poll" });
  await client.end();
});

for (const addressing of ["lid", "pn"] as const) {
  test(`groups (${addressing}): sender keys both ways, receipts, members that come and go`, async () => {
    const { client, chat, shop, number } = await linked();
    const [ann, bob, carl] = [freshPhone("Ann"), freshPhone("Bob"), freshPhone("Carl")];
    const subjects: string[] = [];
    client.sock.ev.on("groups.upsert", (groups) => {
      subjects.push(...groups.map(({ subject }) => subject));
    });
    const group = createGroup(ann.account, "Orders", [bob.account, shop.account], addressing);
    await client.until("group", () => subjects.includes("Orders"));
    const metadata = await client.sock.groupMetadata(group.jid);
    assert.deepEqual([metadata.subject, metadata.participants.length], ["Orders", 3]);
    assert.equal(metadata.addressingMode, addressing);

    await ann.messages.sendText(group.jid, "to all");
    const heard = await chat.hears("to all");
    assert.equal(heard.message.key.remoteJid, group.jid);
    assert.match(heard.message.key.participant ?? "", addressing === "lid" ? /@lid$/ : /whatsapp/);
    await ann.messages.sendText(group.jid, "again");
    await chat.hears("again");
    await client.until("receipts", () => ann.messages.sent[1]?.receipts.length === 3);

    await client.sock.sendMessage(group.jid, { text: "from the shop" });
    await client.sock.sendMessage(group.jid, { text: "and more" });
    for (const phone of [ann, bob, shop]) {
      await client.until("group text", () => phone.messages.received.at(-1)?.text === "and more");
      assert.deepEqual(
        phone.messages.received.slice(-2).map(({ chat: at, from, text }) => [at, from, text]),
        [
          [group.jid, number, "from the shop"],
          [group.jid, number, "and more"],
        ],
      );
    }
    const ofAnn = { kind: "delete", target: ann.messages.sent[0]?.id ?? "" } as const;
    await assert.rejects(bob.messages.send(group.jid, ofAnn), { code: "not_admin" });
    addMembers(group, ann.account, [carl.account]);
    await carl.messages.sendText(group.jid, "I am new");
    await chat.hears("I am new");
    removeMembers(group, ann.account, [bob.account]);
    await ann.messages.sendText(group.jid, "without Bob");
    await chat.hears("without Bob");
    await assert.rejects(bob.messages.sendText(group.jid, "hm"), { code: "not_in_group" });
    assert.ok(!bob.messages.received.some(({ text }) => text === "without Bob"));
    assert.deepEqual(Object.keys(await client.sock.groupFetchAllParticipating()), [group.jid]);
    assert.equal(server.stats.phoneRetries, 0);
    await client.end();
  });
}

test("a group's message that the client cannot decrypt is sent again to it alone", async () => {
  const { client, chat, shop, number } = await linked();
  const ann = freshPhone();
  const group = createGroup(ann.account, "Retry", [shop.account]);
  await ann.messages.sendText(group.jid, "first");
  await chat.hears("first");
  applyFault(server, { kind: "garble", phone: number, deviceId: 1, times: 1 });
  const { id } = await ann.messages.sendText(group.jid, "bent");
  await chat.hears("bent");
  assert.equal(ann.messages.sent.find((each) => each.id === id)?.retries, 1);
  await ann.messages.sendText(group.jid, "straight");
  await chat.hears("straight");
  await client.end();
});

test("the linked device makes a group, adds, renames and leaves", async () => {
  const { client } = await linked();
  const [ann, bob] = [freshPhone(), freshPhone()];
  const { id } = await client.sock.groupCreate("Made", [jid(ann)]);
  await client.sock.groupParticipantsUpdate(id, [jid(bob)], "add");
  await client.sock.groupUpdateSubject(id, "Renamed");
  const metadata = await client.sock.groupMetadata(id);
  assert.deepEqual([metadata.subject, metadata.participants.length], ["Renamed", 3]);
  await client.sock.sendMessage(id, { text: "hello group" });
  await client.until("Bob", () => bob.messages.received[0]?.text === "hello group");
  await client.sock.groupLeave(id);
  assert.equal(server.groups.get(id)?.members.size, 2);
  await client.end();
});

test("the control API: write, list, confirm, bulk, groups", async () => {
  const { client, chat, shop, number } = await linked();
  const ann = freshPhone();
  const post = async (path: string, body: unknown) => {
    const response = await fetch(sim.httpUrl + path, {
      method: "POST",
      body: JSON.stringify(body),
    });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  const path = `/phones/${ann.account.phone}`;
  const one = await post(`${path}/messages`, { to: number, text: "one" });
  assert.equal(one.status, 200);
  assert.equal(one.body["devices"], 2);
  const many = await post(
    "/messages",
    [2, 3, 4].map((count) => ({ from: ann.account.phone, to: number, text: `${count}` })),
  );
  assert.equal((many.body as unknown as unknown[]).length, 3);
  await client.until("all", () => chat.heard.length === 4);
  assert.deepEqual(chat.heard, ["one", "2", "3", "4"]);
  await client.sock.sendMessage(jid(ann), { text: "answer" });
  await client.until("answer", () => ann.messages.received.length === 1);
  const list = await fetch(`${sim.httpUrl}${path}/messages?chat=${number}`);
  const { received, sent, duplicates } = (await list.json()) as {
    received: Record<string, unknown>[];
    sent: Record<string, unknown>[];
    duplicates: number;
  };
  assert.deepEqual([received.length, sent.length, duplicates], [1, 4, 0]);
  assert.deepEqual([received[0]?.["text"], received[0]?.["copies"]], ["answer", 1]);
  assert.equal(received[0]?.["message"], undefined);
  assert.deepEqual((await post(`${path}/read`, { chat: number })).body, { confirmed: 1 });
  const made = await post("/groups", {
    creator: ann.account.phone,
    subject: "G",
    members: [shop.account.phone],
  });
  assert.equal((made.body["members"] as unknown[]).length, 2);
  const refused = await post(`${path}/messages`, { to: "1@g.us", text: "x" });
  assert.deepEqual(
    [refused.status, (refused.body["error"] as { code: string }).code],
    [409, "not_in_group"],
  );
  assert.equal((await post(`${path}/messages`, { to: number, kind: "smell" })).status, 400);
  await client.end();
});
