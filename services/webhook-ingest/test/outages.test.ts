import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { startPostgres, until, type PostgresServer } from "@manyline/testkit";
import {
  addLine,
  entryOf,
  eventsOf,
  type Line,
  openRoom,
  post,
  type Room,
  sign,
  textMessage,
  webhookOf,
} from "./room.ts";

let server: PostgresServer;
let room: Room;
let line: Line;
before(async () => {
  server = await startPostgres();
  room = await openRoom({ server });
  line = await addLine(room);
});
after(async () => {
  await room[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const next = (): { id: string; body: Buffer } => {
  const message = textMessage();
  return { id: message.id, body: webhookOf(entryOf(line, { messages: [message] })) };
};
const received = (id: string) =>
  until(() => eventsOf(room, "message.received", id)[0], { deadlineMs: 20_000, label: id });

test("NATS away: 200, and the events come when it is back", async () => {
  const [earlier, meanwhile] = [next(), next()];
  assert.equal(await post(room, earlier.body), 200);
  await received(earlier.id);
  await room.nats.stop();
  assert.equal(await post(room, meanwhile.body), 200);
  assert.equal((await fetch(`${room.url}/health/ready`)).status, 200);
  await room.nats.start();
  await received(meanwhile.id);
});

test("Postgres killed: 503 with Retry-After, never a false 200; all works again by itself", async () => {
  const one = next();
  await server.kill("SIGKILL");
  const answer = await fetch(`${room.url}/webhooks/meta`, {
    method: "POST",
    body: new Uint8Array(one.body),
    headers: { "x-hub-signature-256": sign(one.body) },
  });
  assert.deepEqual([answer.status, answer.headers.get("retry-after")], [503, "5"]);
  assert.equal((await fetch(`${room.url}/health/ready`)).status, 503);
  assert.equal((await fetch(`${room.url}/health/live`)).status, 200);
  await server.start();
  await until(async () => (await post(room, one.body)) === 200, {
    deadlineMs: 20_000,
    label: "200",
  });
  await received(one.id);
});

test("Postgres killed again and again under load: what was answered with 200 is told, once", async () => {
  const taken: string[] = [];
  const over = new AbortController();
  const sender = async (): Promise<void> => {
    while (!over.signal.aborted) {
      const { id, body } = next();
      const send = (): Promise<number> => post(room, body).catch(() => 0);
      // Whatever is not answered with 200 is sent again, as Meta does.
      await until(async () => (await send()) === 200, { deadlineMs: 60_000, intervalMs: 20 });
      taken.push(id);
    }
  };
  const senders = Array.from({ length: 8 }, sender);
  for (let round = 0; round < 3; round += 1) {
    const goal = taken.length + 50;
    await until(() => taken.length >= goal, { deadlineMs: 30_000, label: "load" });
    await server.kill("SIGKILL");
    await server.start();
  }
  const goal = taken.length + 20;
  await until(() => taken.length >= goal, { deadlineMs: 30_000, label: "load" });
  over.abort();
  await Promise.all(senders);
  assert.equal(new Set(taken).size, taken.length);
  const seen = (): string[] =>
    room.seen.flatMap(({ type, data }) =>
      type === "message.received" ? (data as { providerMessageId: string }).providerMessageId : [],
    );
  await until(() => taken.every((id) => new Set(seen()).has(id)), {
    deadlineMs: 30_000,
    intervalMs: 200,
    label: "every message at the subscriber",
  });
  const all = seen();
  assert.equal(new Set(all).size, all.length, "nothing twice");
});
