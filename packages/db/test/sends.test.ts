import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  ManylineError,
  messageDelivered,
  messageFailed,
  messageQueued,
  messageReaction,
  messageReceived,
  messageSent,
  newLinkedMessageId,
} from "@manyline/contracts";
import {
  claimSends,
  enqueueMessage,
  type Enqueued,
  FencedError,
  noteStatuses,
  overdueSends,
  releaseSends,
  removeNumber,
  type Send,
  type SendInput,
  type Status,
  withCompany,
} from "../src/index.ts";
import {
  dataOf,
  hashOf,
  type Line,
  openLine,
  providerId,
  sisterLine,
  stranger,
  textFrom,
  types,
} from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

function enqueue({ source }: Line, more: Partial<SendInput> = {}): Promise<Enqueued> {
  const { fence, companyId, numberId, provider, phone } = source;
  return withCompany(world.app, fence.companyNo, (tx) =>
    enqueueMessage(tx, {
      companyNo: fence.companyNo,
      numberNo: fence.numberNo,
      companyId,
      numberId,
      provider,
      phone,
      service: "gateway",
      to: { phone: "79007654321" },
      type: "text",
      text: "Your visit is tomorrow",
      providerMessageId: newLinkedMessageId(),
      ...more,
    }),
  );
}

const claim = (line: Line, room = 10, epoch = line.source.fence.epoch): Promise<Send[]> =>
  claimSends(world.worker, [{ fence: { ...line.source.fence, epoch }, room }], 100);

const ids = (sends: readonly { messageId: string }[]): string[] =>
  sends.map(({ messageId }) => messageId);

const note = (line: Line, ...statuses: Status[]) =>
  noteStatuses(world.worker, line.source, statuses);

const AT = new Date("2026-11-21T10:20:00.000Z");
const sent = (messageId: string): Status => ({ messageId, state: "sent", at: AT });

const isCode = (code: string) => (error: unknown) =>
  error instanceof ManylineError && error.code === code;

describe("a request to send", () => {
  test("makes the person, the chat, the message and its event; it waits in its lane", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const { events, messageId, isRepeated } = await enqueue(line, { to: { phone: anna.phone } });
    assert.equal(isRepeated, false);
    assert.deepEqual(types(events), ["contact.created", "message.queued"]);
    const data = dataOf(events, messageQueued);
    assert.deepEqual(
      [data.messageId, data.chat.phone, data.from.phone, data.text],
      [messageId, anna.phone, "79001234567", "Your visit is tomorrow"],
    );
    assert.equal(events[1]?.envelope.seq, 1);
    const [send, ...more] = await claim(line);
    assert.equal(more.length, 0);
    assert.deepEqual(
      [send?.messageId, send?.phone, send?.lid, send?.attempts, send?.lane, send?.lastInboundAt],
      [messageId, anna.phone, null, 1, 1, null],
    );
    assert.deepEqual(await claim(line), [], "under way");
  });

  test("with a key: the same once, another body is refused, also at once; of each company its own", async () => {
    const line = await openLine(world);
    const keyed = (body: string) =>
      enqueue(line, { text: body, idempotency: { key: "k 1", hash: hashOf(body) } });
    const all = await Promise.all(Array.from({ length: 8 }, () => keyed("a")));
    assert.equal(new Set(ids(all)).size, 1);
    assert.equal(all.filter(({ isRepeated }) => !isRepeated).length, 1);
    assert.equal(all.flatMap(({ events }) => events).length, 2);
    await assert.rejects(keyed("b"), isCode("IDEMPOTENCY_MISMATCH"));
    assert.equal((await claim(line)).length, 1);
    const other = await openLine(world);
    const theirs = await enqueue(other, { idempotency: { key: "k 1", hash: hashOf("c") } });
    assert.equal(theirs.isRepeated, false);
  });

  test("a full queue refuses, and the key can be used again", async () => {
    const line = await openLine(world);
    const one = () => enqueue(line, { queueLength: 2 });
    await one();
    await one();
    const keyed = { queueLength: 2, idempotency: { key: "later", hash: hashOf("x") } };
    await assert.rejects(enqueue(line, keyed), isCode("QUEUE_FULL"));
    const [first] = await claim(line);
    await note(line, sent(first?.messageId ?? ""));
    assert.equal((await enqueue(line, keyed)).isRepeated, false);
  });

  test("to a contact, a chat, a LID or a group; to nobody it is refused", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const data = dataOf((await line.commit(textFrom(anna))).events, messageReceived);
    const to = async (recipient: SendInput["to"]) =>
      dataOf((await enqueue(line, { to: recipient })).events, messageQueued).chat;
    const { contactId } = data.from;
    assert.equal((await to({ contactId: contactId ?? "" })).id, data.chat.id);
    assert.equal((await to({ chatId: data.chat.id })).id, data.chat.id);
    assert.equal((await to({ lid: anna.lid })).id, data.chat.id);
    assert.equal((await to({ groupId: "12036300@g.us" })).type, "group");
    await assert.rejects(to({ chatId: "cht_x" }), isCode("CHAT_NOT_FOUND"));
    await assert.rejects(to({ contactId: "con_x" }), isCode("CONTACT_NOT_FOUND"));
    const unknown = { contextId: "msg_00000000000000000000000000000000" };
    await assert.rejects(enqueue(line, unknown), isCode("MESSAGE_NOT_FOUND"));
    const sister = await sisterLine(world, line);
    await assert.rejects(
      enqueue(sister, { to: { chatId: data.chat.id } }),
      isCode("CHAT_NOT_FOUND"),
    );
    const { companyNo, numberNo } = sister.source.fence;
    await withCompany(world.app, companyNo, (tx) => removeNumber(tx, companyNo, numberNo));
    await assert.rejects(enqueue(sister), isCode("NUMBER_NOT_FOUND"));
  });

  test("an answer carries what it answers", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const question = textFrom(anna, { text: "When?" });
    const { messageId } = dataOf((await line.commit(question)).events, messageReceived);
    const to = { phone: anna.phone };
    const { events } = await enqueue(line, { to, contextId: messageId });
    const { providerMessageId } = question;
    assert.deepEqual(dataOf(events, messageQueued).context, { messageId, providerMessageId });
    const [send] = await claim(line);
    assert.deepEqual(send?.content?.context, {
      messageId,
      providerMessageId,
      isOwn: false,
      type: "text",
      text: "When?",
      phone: anna.phone,
      lid: anna.lid,
    });
    assert.deepEqual([send?.lane, send?.lid], [0, anna.lid], "she wrote: the lane of replies");
  });
});

describe("the queue", () => {
  test("of a chat one at a time, in the order of the requests; chats beside each other", async () => {
    const line = await openLine(world);
    const [anna, bob] = [stranger(), stranger()];
    const made: string[] = [];
    for (const to of [anna, bob, anna, anna])
      made.push((await enqueue(line, { to: { phone: to.phone } })).messageId);
    const [a1, b1, a2, a3] = made;
    assert.deepEqual(ids(await claim(line)), [a1, b1]);
    await note(line, sent(b1 ?? ""));
    assert.deepEqual(await claim(line), []);
    await note(line, { messageId: a1 ?? "", state: "failed", at: AT });
    assert.deepEqual(ids(await claim(line)), [a2]);
    const b2 = await enqueue(line, { to: { phone: bob.phone } });
    assert.deepEqual(ids(await claim(line)), [b2.messageId]);
    await note(line, { messageId: a2 ?? "", state: "unknown", at: AT });
    assert.deepEqual(ids(await claim(line)), [a3]);
  });

  test("changes have their turn where they were asked for, without a place among the events", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const { messageId } = dataOf((await line.commit(textFrom(anna))).events, messageReceived);
    const to = { phone: anna.phone };
    const change = { to, type: "reaction", text: null, contextId: messageId } as const;
    const made = [
      await enqueue(line, { to }),
      await enqueue(line, { ...change, content: { emoji: "1" } }),
      await enqueue(line, { ...change, content: { emoji: "2" } }),
      await enqueue(line, { to }),
    ];
    assert.equal(made.at(-1)?.events[0]?.envelope.seq, 3);
    for (const one of made) {
      const [send, ...more] = await claim(line);
      assert.deepEqual([send?.messageId, more.length], [one.messageId, 0]);
      await note(line, sent(one.messageId));
    }
  });

  test("replies first, then the rest, then bulk; no more than there is room for", async () => {
    const line = await openLine(world);
    const anna = stranger();
    await line.commit(textFrom({ ...anna }, { at: new Date() }));
    const bulk = await enqueue(line, { to: { phone: stranger().phone }, isBulk: true });
    const usual = await enqueue(line, { to: { phone: stranger().phone } });
    const reply = await enqueue(line, { to: { phone: anna.phone } });
    assert.deepEqual(await claim(line, 0), []);
    assert.deepEqual(ids(await claim(line, 1)), [reply.messageId]);
    assert.deepEqual(ids(await claim(line, 5)), [usual.messageId, bulk.messageId]);
  });

  test("what is given back comes again, not before its time", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    await claim(line);
    assert.equal(await releaseSends(world.worker, line.source.fence, [messageId], new Date()), 1);
    const [again] = await claim(line);
    assert.deepEqual([again?.messageId, again?.attempts], [messageId, 1], "no attempt was made");
    const later = new Date(Date.now() + 60_000);
    await releaseSends(world.worker, line.source.fence, [messageId], later);
    assert.deepEqual(await claim(line), []);
    const stale = { ...line.source.fence, epoch: line.source.fence.epoch - 1 };
    await assert.rejects(releaseSends(world.worker, stale, [messageId]), FencedError);
  });

  test("a stale owner claims nothing; the next one gets what was under way, with the same id", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    assert.deepEqual(await claim(line, 10, line.source.fence.epoch - 1), []);
    const [first] = await claim(line);
    const { fence } = line.source;
    const raise = "update number_fence set epoch = epoch + 1 where number_no = $1";
    await world.superuser.query(raise, [fence.numberNo]);
    await assert.rejects(note(line, sent(messageId)), FencedError);
    assert.deepEqual(await claim(line), []);
    const next = {
      ...line,
      source: { ...line.source, fence: { ...fence, epoch: fence.epoch + 1 } },
    };
    const [second] = await claim(next);
    assert.deepEqual(
      [second?.messageId, second?.providerMessageId, second?.attempts],
      [messageId, first?.providerMessageId, 2],
    );
    assert.deepEqual(types(await note(next, sent(messageId))), ["message.sent"]);
  });

  test("two claims at once share nothing", async () => {
    const line = await openLine(world);
    for (let index = 0; index < 20; index += 1)
      await enqueue(line, { to: { phone: stranger().phone } });
    const both = await Promise.all([claim(line, 20), claim(line, 20), claim(line, 20)]);
    const all = both.flatMap(ids);
    assert.equal(new Set(all).size, all.length);
    const rest = await claim(line, 20);
    assert.equal(all.length + rest.length, 20);
  });

  test("requests and results of one chat at once: all are sent, in order, none is forgotten", async () => {
    const line = await openLine(world);
    const made: Promise<Enqueued>[] = [];
    const order: string[] = [];
    const deadline = Date.now() + 20_000;
    while (order.length < 30) {
      assert.ok(Date.now() < deadline, `somebody waits for ever behind ${order.length}`);
      if (made.length < 30) made.push(enqueue(line), enqueue(line));
      const sends = await claim(line);
      assert.ok(sends.length <= 1);
      order.push(...ids(sends));
      await Promise.all(sends.map(({ messageId }) => note(line, sent(messageId))));
    }
    await Promise.all(made);
    const { rows } = await world.superuser.query<{ message_id: string }>(
      "select message_id from messages where number_no = $1 order by seq",
      [line.source.fence.numberNo],
    );
    assert.deepEqual(
      order,
      rows.map(({ message_id: id }) => id),
    );
  });

  test("what waited too long is found, expires, and lets the next one go; under way it does not", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    const next = await enqueue(line);
    await world.superuser.query(
      "update messages set expires_at = now() - interval '1 s' where message_id = $1",
      [messageId],
    );
    assert.deepEqual(await claim(line), []);
    const { rows } = await world.superuser.query<{ shard_id: number }>(
      "select shard_id from shards",
    );
    const shardIds = rows.map((row) => row.shard_id);
    const overdue = await overdueSends(world.worker, { workerId: "w1", shardIds }, 10);
    assert.deepEqual(ids(overdue), [messageId]);
    assert.deepEqual(await overdueSends(world.worker, { workerId: "w2", shardIds }, 10), []);
    const expired: Status = { messageId, state: "expired", at: AT };
    assert.deepEqual(types(await note(line, expired, expired)), ["message.expired"]);
    assert.deepEqual(ids(await claim(line)), [next.messageId]);
    assert.deepEqual(await note(line, { ...expired, messageId: next.messageId }), []);
  });
});

describe("statuses", () => {
  test("only forward, each told once with the next seq, by our id or by WhatsApp's", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    const [send] = await claim(line);
    const providerMessageId = send?.providerMessageId ?? "";
    const by = (state: Status["state"]): Status => ({ providerMessageId, state, at: AT });
    const first = await note(line, sent(messageId), by("delivered"), by("sent"));
    assert.deepEqual(types(first), ["message.sent", "message.delivered"]);
    assert.deepEqual(
      first.map(({ envelope }) => envelope.seq),
      [2, 3],
    );
    assert.equal(dataOf(first, messageSent).providerMessageId, providerMessageId);
    assert.deepEqual(await note(line, by("delivered"), by("failed"), sent(messageId)), []);
    const last = await note(line, by("read"), by("read"), {
      ...by("read"),
      providerMessageId: "?",
    });
    assert.deepEqual(types(last), ["message.read"]);
    assert.equal(last[0]?.envelope.seq, 4);
    const { rows } = await world.superuser.query<{ state: string }>(
      "select state from messages where message_id = $1",
      [messageId],
    );
    assert.equal(rows[0]?.state, "read");
  });

  test("a failure names its reason; what failed may turn out to be delivered", async () => {
    const line = await openLine(world);
    const { messageId } = await enqueue(line);
    await claim(line);
    const error = { code: "contact_token_missing", title: "No." };
    const failed = await note(line, { messageId, state: "failed", at: AT, error });
    assert.deepEqual(dataOf(failed, messageFailed).error, error);
    const late = await note(line, { messageId, state: "delivered", at: AT });
    assert.equal(dataOf(late, messageDelivered).error, null);
  });

  test("of what others wrote there is no status; the echo of what we sent is not told", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const received = textFrom(anna);
    await line.commit(received);
    const by = { providerMessageId: received.providerMessageId, state: "read", at: AT } as const;
    assert.deepEqual(await note(line, by), []);
    const { messageId } = await enqueue(line, { to: { phone: anna.phone } });
    const [send] = await claim(line);
    const { providerMessageId = "" } = send ?? {};
    const echo = textFrom(anna, { event: "echoed", from: null, providerMessageId });
    assert.deepEqual(await line.commit(echo), { events: [], repeated: 1 });
    assert.equal((await note(line, sent(messageId))).length, 1);
  });

  test("our reaction is applied and told when it was sent, its echo is not", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const message = textFrom(anna);
    const { messageId } = dataOf((await line.commit(message)).events, messageReceived);
    const providerMessageId = providerId();
    const { events } = await enqueue(line, {
      to: { phone: anna.phone },
      type: "reaction",
      text: null,
      content: { emoji: "👍" },
      contextId: messageId,
      providerMessageId,
    });
    assert.deepEqual(events, []);
    const [send] = await claim(line);
    assert.deepEqual([send?.type, send?.content?.emoji], ["reaction", "👍"]);
    const told = await note(line, sent(send?.messageId ?? ""));
    assert.deepEqual(types(told), ["message.sent", "message.reaction"]);
    const { seq } = told[1]?.envelope ?? {};
    assert.equal(seq, 3, "after message.received and message.sent: no gap");
    assert.equal(dataOf(told, messageReaction).messageId, messageId);
    const { rows } = await world.superuser.query<{ reactions: object }>(
      "select reactions from messages where message_id = $1",
      [messageId],
    );
    assert.deepEqual(rows[0]?.reactions, { me: "👍" });
    const echo = await line.commit({
      kind: "reaction",
      target: message.providerMessageId,
      providerMessageId,
      chat: message.chat,
      from: null,
      at: AT,
      emoji: "👍",
    });
    assert.deepEqual(echo, { events: [], repeated: 1 });
  });
});
