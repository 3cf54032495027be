import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Message, messageReceived, newLinkedMessageId, newMediaId } from "@manyline/contracts";
import {
  addressOf,
  claimSends,
  enqueueMessage,
  FencedError,
  fencedTransaction,
  findRequest,
  getChat,
  getContact,
  getMedia,
  getMessage,
  inboundKeys,
  insertMedia,
  listChats,
  listContacts,
  listMessages,
  noteStatuses,
  readMediaSource,
  setMediaGone,
  setMediaStored,
  type Tx,
  withCompany,
} from "../src/index.ts";
import { dataOf, type Line, openLine, providerId, stranger, textFrom } from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

/** Its names are those of the contract. */
function assertShape(message: Message | undefined): void {
  const known = new Set(Object.keys(Message.properties));
  assert.deepEqual(
    Object.keys(message ?? {}).filter((name) => !known.has(name)),
    [],
  );
  for (const name of Message.required) assert.ok(message && name in message, name);
}

const asCompany = <T>({ source }: Line, work: (tx: Tx) => Promise<T>): Promise<T> =>
  withCompany(world.app, source.fence.companyNo, work);

const history = (line: Line, more: Partial<Parameters<typeof listMessages>[1]> = {}) =>
  asCompany(line, (tx) => listMessages(tx, { ...line.source.fence, limit: 50, ...more }));

const texts = (messages: readonly Message[]) => messages.map(({ text }) => text);

describe("messages", () => {
  test("are read as they were told, and with what became of them", async () => {
    const line = await openLine(world);
    const anna = stranger({ name: "Anna" });
    const { events } = await line.commit(
      textFrom(anna, {
        type: "location",
        text: null,
        content: { location: { latitude: 1, longitude: 2 }, isForwarded: true },
      }),
    );
    const told = dataOf(events, messageReceived);
    const read = await asCompany(line, (tx) =>
      getMessage(tx, line.source.fence.companyNo, told.messageId),
    );
    assert.ok(read);
    assertShape(read);
    for (const [name, value] of Object.entries(told)) {
      assert.deepEqual(read[name as keyof Message], value, name);
    }
    assert.deepEqual([read.direction, read.status, read.seq], ["in", "received", 1]);
    const other = await openLine(world);
    const { companyNo } = line.source.fence;
    assert.equal(
      await asCompany(other, (tx) => getMessage(tx, companyNo, told.messageId)),
      undefined,
    );
  });

  test("what we sent has its status and what it answers; reactions and changes are with their message", async () => {
    const line = await openLine(world);
    const { fence, companyId, numberId, provider, phone, service } = line.source;
    const anna = stranger();
    const question = textFrom(anna);
    const { messageId } = dataOf((await line.commit(question)).events, messageReceived);
    const base = { ...fence, companyId, numberId, provider, phone, service };
    const send = (more: object) =>
      asCompany(line, (tx) =>
        enqueueMessage(tx, {
          ...base,
          to: { phone: anna.phone },
          type: "text",
          text: "Yes",
          contextId: messageId,
          providerMessageId: newLinkedMessageId(),
          ...more,
        }),
      );
    const answer = await send({});
    await send({ type: "reaction", text: null, content: { emoji: "👍" } });
    await line.commit({
      kind: "reaction",
      target: question.providerMessageId,
      providerMessageId: providerId(),
      chat: question.chat,
      from: anna,
      at: new Date(),
      emoji: "❤",
    });
    const error = { code: "refused", title: "No." };
    await claimSends(world.worker, [{ fence, room: 9 }], 9);
    await noteStatuses(world.worker, line.source, [
      { messageId: answer.messageId, state: "failed", at: new Date(), error },
    ]);
    const [newest, oldest, ...more] = await history(line);
    assert.equal(more.length, 0);
    for (const one of [newest, oldest]) assertShape(one);
    assert.deepEqual(
      [newest?.status, newest?.error, newest?.context?.messageId, newest?.from.contactId],
      ["failed", error, messageId, null],
    );
    const { contactId } = oldest?.from ?? {};
    assert.deepEqual(oldest?.reactions, [{ contactId, emoji: "❤" }]);
  });

  test("of what is far too long a list has the beginning, so that pages stay small", async () => {
    const line = await openLine(world);
    const contacts = [{ name: "a".repeat(300_000), phones: [] }];
    const { events } = await line.commit(
      textFrom(stranger(), { text: "a".repeat(3_000_000) }),
      textFrom(stranger(), { type: "contact", text: null, content: { contacts } }),
      textFrom(stranger(), { text: "short" }),
    );
    assert.equal(events.length, 6);
    const page = await history(line);
    assert.deepEqual(
      page.map(({ text, isTruncated }) => [text?.length ?? null, isTruncated ?? false]),
      [
        [5, false],
        [null, true],
        [32_768, true],
      ],
    );
    for (const message of page) assertShape(message);
    assert.ok(JSON.stringify(page).length < 40_000);
    const [, cards, long] = await asCompany(line, (tx) =>
      Promise.all(
        page.map(({ messageId }) => getMessage(tx, line.source.fence.companyNo, messageId)),
      ),
    );
    assert.equal(long?.text?.length, 3_000_000);
    assert.deepEqual(cards?.contacts, contacts);
  });

  test("a conversation page by page, also after two people were merged", async () => {
    const line = await openLine(world);
    const [anna, bob] = [stranger(), stranger()];
    const say = async (person: { phone?: string; lid?: string }, text: string) =>
      dataOf((await line.commit(textFrom(person, { text }))).events, messageReceived).chat;
    const lost = await say({ lid: anna.lid }, "1");
    await say(bob, "2");
    await say({ phone: anna.phone }, "3");
    const chat = await say({ phone: anna.phone, lid: anna.lid }, "4");
    const first = await history(line, { chatId: chat.id, limit: 2 });
    assert.deepEqual(texts(first), ["4", "3"]);
    const last1 = first.at(-1)?.messageId;
    const older = { chatId: chat.id, before: last1 };
    assert.deepEqual(texts(await history(line, older)), ["1"]);
    assert.deepEqual(texts(await history(line, { chatId: lost.id })), ["4", "3", "1"]);
    const contactId = chat.contactId ?? "";
    assert.deepEqual(texts(await history(line, { contactId })), ["4", "3", "1"]);
    assert.deepEqual(texts(await history(line)), ["4", "3", "2", "1"]);
    assert.deepEqual(await history(line, { chatId: "cht_x" }), []);
    assert.deepEqual(await history(line, { contactId: "con_x" }), []);

    const { companyNo, numberNo } = line.source.fence;
    const page = (limit: number, last?: string) =>
      asCompany(line, (tx) => listChats(tx, { companyNo, numberNo, limit, before: last }));
    const { chats, next } = await page(9);
    assert.deepEqual([chats.length, next], [2, null]);
    assert.ok((chats[0]?.lastMessageAt ?? "") >= (chats[1]?.lastMessageAt ?? ""));
    const one = await page(1);
    assert.equal(one.chats[0]?.id, chats[0]?.id);
    const last = await page(1, one.next ?? "");
    assert.deepEqual([last.chats[0]?.id, last.chats.length, last.next], [chats[1]?.id, 1, null]);
    assert.deepEqual(await page(9, "nonsense"), { chats: [], next: null });
    const merged = await asCompany(line, (tx) => getChat(tx, companyNo, lost.id));
    assert.deepEqual([merged?.id, merged?.seq], [chat.id, 2]);
  });
});

test("people page by page, by any name they are known by; a merged one goes on", async () => {
  const line = await openLine(world);
  const [anna, bob] = [stranger(), stranger()];
  const { companyNo } = line.source.fence;
  await line.commit({ kind: "person", person: { phone: anna.phone } });
  await line.commit({ kind: "person", person: { lid: anna.lid } }, { kind: "person", person: bob });
  const all = () => asCompany(line, (tx) => listContacts(tx, { companyNo, limit: 9 }));
  const [third, second, first] = await all();
  assert.deepEqual([third?.phone, second?.lid, first?.phone], [bob.phone, anna.lid, anna.phone]);
  await line.commit({ kind: "person", person: { phone: anna.phone, lid: anna.lid } });
  assert.deepEqual(
    (await all()).map(({ id }) => id),
    [third?.id, first?.id],
  );
  const page = await asCompany(line, (tx) =>
    listContacts(tx, { companyNo, before: third?.id, limit: 9 }),
  );
  assert.deepEqual(
    page.map(({ id }) => id),
    [first?.id],
  );
  const find = (search: string) =>
    asCompany(line, (tx) => listContacts(tx, { companyNo, search, limit: 9 }));
  for (const search of [
    anna.phone,
    anna.lid,
    `+${anna.phone.slice(0, 4)} ${anna.phone.slice(4)}`,
  ]) {
    const found = await find(search);
    assert.deepEqual(
      found.map(({ id }) => id),
      [first?.id],
      search,
    );
  }
  const [named] = await find((bob.name ?? "").toUpperCase());
  assert.equal(named?.id, third?.id);
  for (const search of ["%", "_", "\\", "12", "nobody"]) {
    assert.deepEqual(await find(search), [], search);
  }
  const merged = await asCompany(line, (tx) => getContact(tx, companyNo, second?.id ?? ""));
  assert.equal(merged?.id, first?.id);
});

describe("files", () => {
  const media = {
    mimeType: "image/png",
    bytes: null,
    sha256: null,
    fileName: null,
    source: Buffer.from("where it lies"),
  };

  test("of inbound messages are fetched by the owner alone, and are gone with their message", async () => {
    const line = await openLine(world);
    const { fence } = line.source;
    const { keyring } = world.test;
    const anna = stranger();
    const message = textFrom(anna, { type: "image", media });
    const told = dataOf((await line.commit(message)).events, messageReceived);
    const mediaId = told.media?.id ?? "";
    const read = () => readMediaSource(world.worker, keyring, fence, mediaId);
    assert.equal((await read())?.source?.toString(), "where it lies");
    const stale = { ...fence, epoch: fence.epoch - 1 };
    await assert.rejects(readMediaSource(world.worker, keyring, stale, mediaId), FencedError);
    assert.equal(await readMediaSource(world.worker, keyring, fence, "med_x"), undefined);
    const store = () =>
      fencedTransaction(world.worker, fence, (tx) =>
        setMediaStored(tx, fence, mediaId, { location: "a/b", bytes: 7 }),
      );
    assert.equal(await store(), true);
    const row = await asCompany(line, (tx) => getMedia(tx, fence.companyNo, mediaId));
    assert.deepEqual(
      [row?.state, row?.location, row?.bytes, row?.messageId],
      ["stored", "a/b", 7, told.messageId],
    );
    await line.commit({
      kind: "delete",
      target: message.providerMessageId,
      providerMessageId: providerId(),
      chat: message.chat,
      from: anna,
      at: new Date(),
    });
    assert.deepEqual([(await read())?.state, (await read())?.source], ["gone", null]);
    assert.equal(await store(), false);
  });

  test("that WhatsApp has no more are marked so; uploaded ones are stored from the start", async () => {
    const line = await openLine(world);
    const { fence } = line.source;
    const { companyNo, numberNo } = fence;
    const told = dataOf(
      (await line.commit(textFrom(stranger(), { media }))).events,
      messageReceived,
    );
    const inbound = told.media?.id ?? "";
    await fencedTransaction(world.worker, fence, (tx) => setMediaGone(tx, fence, inbound));
    const uploaded = newMediaId();
    const state = await asCompany(line, async (tx) => {
      await insertMedia(tx, {
        companyNo,
        numberNo,
        mediaId: uploaded,
        kind: "document",
        mimeType: "text/plain",
        bytes: 3,
        sha256: "x",
        fileName: "a.txt",
        location: "c/d",
      });
      return [
        (await getMedia(tx, companyNo, inbound))?.state,
        (await getMedia(tx, companyNo, uploaded))?.state,
      ];
    });
    assert.deepEqual(state, ["gone", "stored"]);
    const read = await readMediaSource(world.worker, world.test.keyring, fence, uploaded);
    assert.equal(read?.source, null);
  });
});

test("who a request means: a chat, a person, messages of others; each company and number its own", async () => {
  const [line, other] = [await openLine(world), await openLine(world)];
  const anna = stranger();
  const { events } = await line.commit(
    textFrom(anna),
    textFrom(anna, { event: "echoed", from: null }),
  );
  const told = dataOf(events, messageReceived);
  const { companyNo } = line.source.fence;
  const direct = { phone: anna.phone, lid: anna.lid, groupId: null };
  const contactId = told.from.contactId ?? "";
  for (const to of [{ chatId: told.chat.id }, { contactId }]) {
    const found = (who: Line) => asCompany(who, (tx) => addressOf(tx, who.source.fence, to));
    assert.deepEqual(await found(line), direct);
    assert.equal(await found(other), undefined);
  }
  const echoed = await history(line);
  const ids = echoed.map(({ messageId }) => messageId);
  const keys = (who: Line) => asCompany(who, (tx) => inboundKeys(tx, who.source.fence, ids));
  assert.deepEqual(await keys(line), [
    {
      messageId: told.messageId,
      chatId: told.chat.id,
      providerMessageId: told.providerMessageId,
      phone: anna.phone,
      lid: anna.lid,
    },
  ]);
  assert.deepEqual(await keys(other), []);
  assert.equal(await asCompany(line, (tx) => findRequest(tx, companyNo, "k")), undefined);
});
