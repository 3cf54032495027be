import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ManylineError, messageQueued, messageReceived, newMessageId } from "@manyline/contracts";
import { until } from "@manyline/testkit";
import {
  type Enqueued,
  FencedError,
  getMessage,
  overdueSends,
  releaseSends,
  removeNumber,
  type SendInput,
  type Status,
  withCompany,
} from "../src/index.ts";
import {
  AT,
  dataOf,
  hashOf,
  ids,
  openLine,
  sendingIn,
  sent,
  sisterLine,
  stranger,
  textFrom,
  types,
  type Line,
} from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const { enqueue, claim, note } = sendingIn(() => world);

/** What a request is answered is what a reader gets. */
async function assertReadable({ source: { fence, phone } }: Line, one: Enqueued): Promise<void> {
  const read = await withCompany(world.app, fence.companyNo, (tx) =>
    getMessage(tx, fence.companyNo, one.messageId),
  );
  // The numbers of these tests have no phone in the table.
  assert.deepEqual(one.message, read && { ...read, from: { ...read.from, phone } });
}

const isCode = (code: string) => (error: unknown) =>
  error instanceof ManylineError && error.code === code;

describe("a request to send", () => {
  test("makes the person, the chat, the message and its event; it waits in its lane", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const enqueued = await enqueue(line, { to: { phone: anna.phone } });
    const { events, messageId, isRepeated } = enqueued;
    assert.equal(isRepeated, false);
    await assertReadable(line, enqueued);
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

  test("an answer tells nobody what somebody else wrote", async () => {
    const line = await openLine(world);
    const [anna, other] = [stranger(), stranger()];
    const { messageId } = dataOf(
      (await line.commit(textFrom(anna, { text: "My diagnosis" }))).events,
      messageReceived,
    );
    const answer = enqueue(line, { to: { phone: other.phone }, contextId: messageId });
    await assert.rejects(answer, isCode("MESSAGE_NOT_FOUND"));
    await enqueue(line, { to: { phone: anna.phone }, contextId: messageId });
  });

  test("an answer carries what it answers", async () => {
    const line = await openLine(world);
    const anna = stranger();
    const question = textFrom(anna, { text: "When?" });
    const { messageId } = dataOf((await line.commit(question)).events, messageReceived);
    const to = { phone: anna.phone };
    const enqueued = await enqueue(line, { to, contextId: messageId });
    const { events } = enqueued;
    await assertReadable(line, enqueued);
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

  test("what is claimed is handed out, also when its chat is made while the claim is under way", async () => {
    const line = await openLine(world);
    const { companyNo, numberNo } = line.source.fence;
    const messageId = newMessageId();
    await world.superuser.query("begin");
    await world.superuser.query("lock table number_fence in access exclusive mode");
    const claiming = claim(line);
    await until(
      async () => {
        const { rowCount } = await world.superuser.query(
          "select from pg_locks where not granted and relation = 'number_fence'::regclass",
        );
        return rowCount === 1;
      },
      { deadlineMs: 10_000, label: "the claim waits" },
    );
    await world.superuser.query(
      `with chat as (insert into chats (company_no, number_no, chat_id, type) values ($1, $2, $3, 'direct')
          returning chat_no)
        insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
          provider_message_id, type, at, is_open, is_next, lane, expires_at, attempts)
        select $1, $2, $3, chat_no, 'out', 'queued', 1, 'x', 'text', now(), true, true, 1,
          now() + interval '1 day', 0 from chat`,
      [companyNo, numberNo, messageId],
    );
    await world.superuser.query("commit");
    assert.deepEqual(ids(await claiming), [messageId]);
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
    // Its time is over as well: it cannot expire, but somebody has to say that nobody knows.
    await world.superuser.query(
      "update messages set expires_at = now() - interval '1 s' where message_id = $1",
      [next.messageId],
    );
    const [claimed] = await overdueSends(world.worker, { workerId: "w1", shardIds }, 10);
    assert.deepEqual([claimed?.messageId, claimed?.state], [next.messageId, "sending"]);
  });

  test("of the last places in the queue each is given once, however many ask at a time", async () => {
    const line = await openLine(world);
    const outcomes = await Promise.allSettled(
      Array.from({ length: 16 }, (_, nth) =>
        enqueue(line, { queueLength: 5, to: { phone: String(79_330_000_000 + nth) } }),
      ),
    );
    const taken = outcomes.filter(({ status }) => status === "fulfilled");
    assert.equal(taken.length, 5);
  });
});
