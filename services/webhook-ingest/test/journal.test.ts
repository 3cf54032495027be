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
async function hold(): Promise<() => Promise<void>> {
  const name = "held by a test";
  const holding = asSuperuser(
    room.database,
    `set application_name = '${name}'; begin;
      select from number_fence where number_no = ${line.numberNo} for update; select pg_sleep(30); commit`,
  ).catch(() => undefined);
  const found = `select pid from pg_stat_activity where application_name = '${name}' and wait_event = 'PgSleep'`;
  await until(async () => (await asSuperuser(room.database, found)).length === 1);
  return async () => {
    await asSuperuser(room.database, `select pg_terminate_backend(pid) from (${found}) held`);
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
  const waitingBytes = 2 ** 20;
  const journal = new Journal({ db, clock, waitingBytes, room: () => undefined });
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
