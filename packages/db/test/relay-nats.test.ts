import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EVENTS_MAX_AGE_MS, EVENTS_STREAM, streamSubjects } from "@manyline/contracts";
import { type Bus, createBus, createSilentLogger } from "@manyline/runtime";
import { type NatsServer, startNats, until } from "@manyline/testkit";
import { EventRelay, type StoredEvent } from "../src/index.ts";
import { commitEvents, type Owned, quietLogger } from "./event-support.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
let owned: Owned;
let nats: NatsServer;
let bus: Bus;
let relay: EventRelay;
before(async () => {
  world = await openWorld();
  owned = await ownedNumber(world);
  nats = await startNats();
  bus = createBus({
    servers: nats.url,
    name: "relay-test",
    logger: createSilentLogger(),
    reconnectMs: [20, 100],
  });
  bus.declareStream({
    name: EVENTS_STREAM,
    subjects: streamSubjects(),
    maxAgeMs: EVENTS_MAX_AGE_MS,
    maxBytes: 64 * 1024 * 1024,
    replicas: 1,
  });
  relay = new EventRelay({
    db: world.relay,
    logger: quietLogger,
    publisher: {
      publish: (subject, bytes, msgId) => bus.publish(subject, bytes, { msgId }),
      streamState: () => bus.streamState(EVENTS_STREAM),
    },
    sweepMs: 50,
    unmarkedAfterMs: 100,
    compareMs: 500,
  });
  bus.onStatus(({ connected }) => {
    if (connected) void relay.onReconnect();
  });
  relay.start();
  assert.ok(await bus.waitConnected(5_000));
  await until(() => bus.streamState(EVENTS_STREAM));
});
after(async () => {
  await relay.stop();
  await bus.close();
  await nats[Symbol.asyncDispose]();
  await world[Symbol.asyncDispose]();
});

async function publish(count: number): Promise<string[]> {
  const events: StoredEvent[] = await commitEvents(world, owned, count);
  relay.publish(events);
  await relay.flushed();
  return events.map(({ eventId }) => eventId);
}

/** The ids of what the stream holds now, read from its beginning. */
async function streamIds(): Promise<Set<string>> {
  const { messageCount, lastSeq } = await bus.streamState(EVENTS_STREAM);
  const ids = new Set<string>();
  if (messageCount === 0) return ids;
  const { promise: isRead, resolve } = Promise.withResolvers<void>();
  const reader = bus.consume({
    stream: EVENTS_STREAM,
    ordered: true,
    handler: (message) => {
      ids.add(message.msgId ?? "");
      if (message.seq >= lastSeq) resolve();
    },
  });
  await isRead;
  await reader.close();
  return ids;
}

async function holdsAll(ids: string[]): Promise<void> {
  await until(
    async () => {
      const found = await streamIds();
      return ids.every((id) => found.has(id));
    },
    { deadlineMs: 20_000, intervalMs: 100, label: `${ids.length} events in the stream` },
  );
}

const published: string[] = [];

test("events reach a real stream once, each marked with its sequence", async () => {
  published.push(...(await publish(50)));
  await holdsAll(published);
  assert.equal((await bus.streamState(EVENTS_STREAM)).messageCount, 50);
  const { rows } = await world.superuser.query<{ seqs: string; incarnations: string[] }>(
    `select count(distinct stream_seq) as seqs, array_agg(distinct incarnation) as incarnations
      from event_publications, unnest(stream_seqs) as s (stream_seq)`,
  );
  const { incarnation } = await bus.streamState(EVENTS_STREAM);
  assert.deepEqual(rows, [{ seqs: "50", incarnations: [incarnation] }]);
});

test("events of an outage wait in the log and follow by themselves", async () => {
  await nats.kill("SIGKILL");
  published.push(...(await publish(20)));
  await nats.start();
  await holdsAll(published);
});

test("a store that was deleted is filled again", async () => {
  const { incarnation } = await bus.streamState(EVENTS_STREAM);
  await nats.wipe();
  await holdsAll(published);
  assert.notEqual((await bus.streamState(EVENTS_STREAM)).incarnation, incarnation);
});

test("a store that fell back to an older copy is filled up, though it kept its creation time", async () => {
  const { incarnation } = await bus.streamState(EVENTS_STREAM);
  const { restore } = await nats.saveStore();
  assert.ok(await bus.waitConnected(10_000));
  const lost = await publish(30);
  published.push(...lost);
  await holdsAll(published);
  await restore();
  assert.ok(await bus.waitConnected(10_000));
  await holdsAll(published);
  assert.equal((await bus.streamState(EVENTS_STREAM)).incarnation, incarnation);
});
