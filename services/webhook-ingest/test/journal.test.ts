/** What is answered before it is committed: how many at most, and when answering comes first. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setImmediate, setTimeout as delay } from "node:timers/promises";
import { asSuperuser } from "@manyline/db/testing";
import { until } from "@manyline/testkit";
import { Journal } from "../src/journal.ts";
import { takenOf } from "../src/taken.ts";
import {
  addLine,
  entryOf,
  type Line,
  openRoom,
  post,
  type Room,
  textMessage,
  webhookOf,
} from "./room.ts";

const AHEAD = 20;
const QUIET = 16;

let room: Room;
let line: Line;
before(async () => {
  room = await openRoom({ env: { ANSWERED_WEBHOOKS: String(AHEAD) } });
  line = await addLine(room);
});
after(() => room[Symbol.asyncDispose]());

/** Nothing of the line is committed until it is called. */
async function hold(where = room, { numberNo } = line): Promise<() => Promise<void>> {
  const name = "held by a test";
  const holding = asSuperuser(
    where.database,
    `set application_name = '${name}'; begin;
      select from number_fence where number_no = ${numberNo} for update; select pg_sleep(30); commit`,
  ).catch(() => undefined);
  const found = `select pid from pg_stat_activity where application_name = '${name}' and wait_event = 'PgSleep'`;
  await until(async () => (await asSuperuser(where.database, found)).length === 1);
  return async () => {
    await asSuperuser(where.database, `select pg_terminate_backend(pid) from (${found}) held`);
    await holding;
  };
}

test("so many are answered before they are committed; the next ones wait for room, and nothing is lost", async () => {
  const release = await hold();
  const answered: string[] = [];
  const ids: string[] = [];
  const posts: Promise<void>[] = [];
  const send = (count: number): void => {
    for (let index = 0; index < count; index += 1) {
      const message = textMessage();
      ids.push(message.id);
      const body = webhookOf(entryOf(line, { messages: [message] }));
      posts.push(
        post(room, body).then((status) => {
          assert.equal(status, 200);
          answered.push(message.id);
          return undefined;
        }),
      );
    }
  };
  send(QUIET);
  await until(() => room.deps.ingestor.waitingBytes > 0);
  await delay(50);
  assert.deepEqual(answered, [], "those that go straight to their commit wait for it");
  send(AHEAD + 5);
  // One insert takes what waits, so it may be a few more.
  await until(() => answered.length >= AHEAD, { label: "what is in the journal is answered" });
  await delay(50);
  const inJournal = answered.length;
  send(40);
  await delay(200);
  assert.equal(answered.length, inJournal, "no room");
  assert.equal(room.deps.ingestor.journaled.size, inJournal);
  await release();
  await Promise.all(posts);
  assert.equal(answered.length, ids.length);
  await until(
    () =>
      ids.every(
        (id) =>
          room.seen.filter(({ data }) => Object(data)["providerMessageId"] === id).length === 1,
      ),
    { label: "each is told once" },
  );
  assert.equal(room.deps.ingestor.journaled.size, 0);
  assert.deepEqual(await asSuperuser(room.database, "select from webhook_journal"), []);
});

test("webhooks press when they come fast and the process has no time left, not on a slow disk", async () => {
  const { db, clock } = room.deps;
  const journal = new Journal({ db, clock, room: () => undefined });
  const add = () =>
    journal.add(takenOf(webhookOf(entryOf(line, { messages: [textMessage()] })), null));
  for (let count = 0; count < 8; count += 1) await add();
  assert.equal(journal.isPressed, false, "one after the other");
  const over = new AbortController();
  const senders = Array.from({ length: 64 }, async () => {
    while (!over.signal.aborted) await add();
  });
  const busy = async (): Promise<void> => {
    for (; !over.signal.aborted; await setImmediate()) {
      const end = performance.now() + 2;
      while (performance.now() < end);
    }
  };
  try {
    const working = busy();
    await until(() => journal.isPressed, { label: "pressing" });
    over.abort();
    await Promise.all([...senders, working]);
    await until(() => !journal.isPressed, { label: "no longer" });
  } finally {
    over.abort();
    await Promise.allSettled(senders);
  }
});

test("whatever comes while the journal ends its work is not left lying", async () => {
  let now = 0;
  const clock = { ...room.deps.clock, monotonic: () => (now += 1_000) };
  const webhook = takenOf(webhookOf(entryOf(line, { messages: [textMessage()] })), null);
  for (let steps = 0; steps < 8; steps += 1) {
    const journal = new Journal({ db: room.deps.db, clock, room: () => undefined });
    await journal.add(webhook);
    for (let step = 0; step < steps; step += 1) await Promise.resolve();
    const late = Symbol("late");
    const second = await Promise.race([journal.add(webhook), delay(5_000, late, { ref: false })]);
    assert.notEqual(second, late, `${steps} steps later`);
  }
});

test("a webhook for a company that was deleted a moment ago fails alone", async () => {
  const { db, clock } = room.deps;
  const journal = new Journal({ db, clock, room: () => undefined });
  const raw = webhookOf(entryOf(line, { messages: [textMessage()] }));
  const gone = { companyNo: 2 ** 31 - 1, companyId: "gone" };
  const added = [null, gone, null].map((app) => journal.add(takenOf(raw, app)));
  const outcomes = await Promise.allSettled(added);
  assert.deepEqual(
    outcomes.map(({ status }) => status),
    ["fulfilled", "rejected", "fulfilled"],
  );
});

test("when the bytes that wait reach their limit the next ones are refused; whatever was answered has its place", async () => {
  await using small = await openRoom({ env: { WAITING_BYTES: "16384" } });
  const own = await addLine(small);
  const release = await hold(small, own);
  const sent: { id: string; status: Promise<number> }[] = [];
  const send = (): void => {
    const message = textMessage();
    const body = webhookOf(entryOf(own, { messages: [message] }));
    sent.push({ id: message.id, status: post(small, body) });
  };
  for (let count = 0; count < QUIET; count += 1) send();
  await until(() => small.deps.ingestor.waitingBytes > 0);
  await delay(50);
  for (let count = 0; count < 100; count += 1) {
    send();
    await delay(2);
  }
  await delay(100);
  assert.ok(small.deps.ingestor.waitingBytes <= 16_384);
  const { journaled } = small.deps.ingestor;
  const kept = await asSuperuser(small.database, "select from webhook_journal");
  assert.equal(journaled.size, kept.length, "none is answered and not waited for");
  await release();
  const taken: string[] = [];
  for (const { id, status } of sent) if ((await status) === 200) taken.push(id);
  assert.ok(taken.length > QUIET && taken.length < sent.length);
  const told = (): unknown[] =>
    small.seen.flatMap(({ data }) => Object(data)["providerMessageId"] ?? []);
  await until(() => told().length === taken.length, { label: "what was answered is told" });
  assert.deepEqual(new Set(told()), new Set(taken));
});
