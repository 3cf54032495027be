import assert from "node:assert/strict";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { until } from "@manyline/testkit";
import { EventRelay, type EventRelayOptions, type StoredEvent } from "../src/index.ts";
import { commitEvents, FakeStream, type Owned, quietLogger } from "./event-support.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
let owned: Owned;
let stream: FakeStream;
const relays: EventRelay[] = [];
before(async () => {
  world = await openWorld();
  owned = await ownedNumber(world);
});
beforeEach(() => {
  stream = new FakeStream();
});
afterEach(async () => {
  await Promise.all(relays.splice(0).map((relay) => relay.stop()));
  await world.superuser.query("delete from whatsapp_events; delete from event_publications");
});
after(() => world[Symbol.asyncDispose]());

function newRelay(options: Partial<EventRelayOptions> = {}): EventRelay {
  const relay = new EventRelay({
    db: world.relay,
    publisher: stream,
    logger: quietLogger,
    sweepMs: 20,
    unmarkedAfterMs: 0,
    ...options,
  });
  relays.push(relay);
  return relay;
}

async function marks(): Promise<{ id: string; incarnation: string | null; seq: number | null }[]> {
  const { rows } = await world.superuser.query<{
    event_id: string;
    incarnation: string | null;
    stream_seq: string | null;
  }>(`select e.event_id, p.incarnation, m.stream_seq
      from event_publications p, unnest(p.event_nos, p.stream_seqs) as m (event_no, stream_seq)
      join whatsapp_events e on e.event_no = m.event_no order by e.event_no`);
  return rows.map((row) => ({
    id: row.event_id,
    incarnation: row.incarnation,
    seq: row.stream_seq === null ? null : Number(row.stream_seq),
  }));
}

const idsOf = (events: StoredEvent[]): string[] => events.map(({ eventId }) => eventId);

async function publish(relay: EventRelay, count: number): Promise<StoredEvent[]> {
  const events = await commitEvents(world, owned, count);
  relay.publish(events);
  await relay.flushed();
  return events;
}

test("own commits are published at once, in their order, and marked", async () => {
  const relay = newRelay();
  const events = await publish(relay, 300);
  assert.deepEqual(stream.ids, idsOf(events));
  assert.equal(stream.messages[0]?.subject, events[0]?.natsSubject);
  assert.deepEqual(JSON.parse(stream.messages[0]?.body ?? ""), events[0]?.envelope);
  assert.deepEqual(
    await marks(),
    stream.messages.map(({ id, seq }) => ({ id, seq, incarnation: stream.incarnation })),
  );
  assert.equal(await relay.sweep(), 0);
});

test("what could not be published waits, and is swept when the stream is back", async () => {
  const relay = newRelay();
  stream.isDown = true;
  const events = await publish(relay, 3);
  assert.deepEqual(
    (await marks()).map(({ seq }) => seq),
    [null, null, null],
  );
  relay.start();
  stream.isDown = false;
  await until(() => stream.messages.length === 3);
  assert.deepEqual(stream.ids, idsOf(events));
});

test("an insert whose events are handed over in parts is whole once the last of them is marked", async () => {
  const relay = newRelay();
  const events = await commitEvents(world, owned, 5);
  const publications = async () =>
    (await world.superuser.query("select published_at from event_publications")).rows;
  relay.publish(events.slice(3));
  await relay.flushed();
  assert.deepEqual(await publications(), [{ published_at: null }]);
  relay.publish(events.slice(0, 2));
  await relay.flushed();
  assert.deepEqual(
    (await marks()).map(({ seq }) => seq),
    [3, 4, null, 1, 2],
  );
  assert.equal(await newRelay().sweep(), 1);
  const [whole] = await publications();
  assert.ok(whole?.published_at);
  assert.deepEqual(
    (await marks()).map(({ seq }) => seq),
    [3, 4, 5, 1, 2],
  );
});

test("an event that was deleted before it was published holds up nothing", async () => {
  const events = await commitEvents(world, owned, 3);
  await world.superuser.query("delete from whatsapp_events where event_id = $1", [
    events[1]?.eventId,
  ]);
  assert.equal(await newRelay().sweep(), 2);
  const { rows } = await world.superuser.query(
    "select stream_seqs::text, published_at is not null as is_done from event_publications",
  );
  assert.deepEqual(rows, [{ stream_seqs: "{1,0,2}", is_done: true }]);
  stream.wipe();
  assert.equal(await newRelay().compare(), 2);
  assert.equal(await newRelay().sweep(), 2);
});

test("the sweeper leaves fresh events to the process that committed them", async () => {
  await commitEvents(world, owned, 2);
  assert.equal(await newRelay({ unmarkedAfterMs: 60_000 }).sweep(), 0);
  assert.equal(await newRelay().sweep(), 2);
});

test("two sweepers at once publish each event once", async () => {
  await commitEvents(world, owned, 900);
  const counts = await Promise.all([newRelay().sweep(), newRelay().sweep()]);
  assert.equal(counts[0] + counts[1], 900);
  assert.equal(stream.sent, 900);
  assert.ok((await marks()).every(({ seq }) => seq !== null));
});

test("events that cannot be published do not stop the others", async () => {
  const events = await commitEvents(world, owned, 450);
  stream.refused = new Set(idsOf(events).slice(0, 210));
  const relay = newRelay();
  // More than a whole batch of them.
  assert.equal(await relay.sweep(), 240);
  stream.refused = new Set(idsOf(events).slice(0, 3));
  assert.equal(await relay.sweep(), 207);
  assert.equal((await marks()).filter(({ seq }) => seq === null).length, 3);
});

test("a stream that was deleted is filled again with the whole window, and nothing older", async () => {
  const relay = newRelay();
  const events = [...(await publish(relay, 1)), ...(await publish(relay, 4))];
  await world.superuser.query(
    "update event_publications set created_at = created_at - interval '49 hours' where publication_no = $1",
    [events[0]?.eventNo],
  );
  stream.wipe();
  assert.equal(await relay.compare(), 4);
  assert.equal(await relay.sweep(), 4);
  assert.deepEqual(stream.ids, idsOf(events).slice(1));
  const incarnations = (await marks()).slice(1).map(({ incarnation }) => incarnation);
  assert.deepEqual(new Set(incarnations), new Set([stream.incarnation]));
  assert.equal(await relay.compare(), 0);
});

test("a stream that lost its end is filled from there", async () => {
  const relay = newRelay();
  const events = await publish(relay, 10);
  stream.rollBack(6);
  assert.equal(await relay.compare(), 4);
  assert.equal(await relay.sweep(), 4);
  assert.deepEqual(stream.ids, idsOf(events));
  assert.equal(await relay.compare(), 0);
});

test("a stream that lost its end and grew past it before anybody compared: the sequence given twice tells", async () => {
  const relay = newRelay();
  const lost = await publish(relay, 10);
  stream.rollBack(6);
  const later = await publish(relay, 8);
  assert.equal(await relay.compare(), 0, "the last sequence alone shows nothing");
  await relay.sweep();
  assert.deepEqual(new Set(stream.ids), new Set([...idsOf(lost), ...idsOf(later)]));
  assert.ok((await marks()).every(({ seq }) => seq !== null));
});

test("a stream made anew behind a process that did not notice: marks name the old one, and are compared", async () => {
  const relay = newRelay();
  const earlier = await publish(relay, 2);
  stream.wipe();
  const later = await publish(relay, 2);
  assert.deepEqual(stream.ids, idsOf(later));
  assert.ok((await relay.compare()) >= 2);
  await relay.sweep();
  assert.deepEqual(new Set(stream.ids), new Set([...idsOf(earlier), ...idsOf(later)]));
  assert.ok((await marks()).every(({ incarnation }) => incarnation === stream.incarnation));
});

test("several processes that notice the same loss fill it together, and then agree", async () => {
  const first = newRelay();
  await publish(first, 600);
  stream.wipe();
  const others = [newRelay(), newRelay(), first];
  for (const relay of others) relay.start();
  await Promise.all(others.map((relay) => relay.onReconnect()));
  await until(async () =>
    (await marks()).every(({ incarnation }) => incarnation === stream.incarnation),
  );
  assert.equal(new Set(stream.ids).size, 600);
  assert.equal(await first.compare(), 0);
});

test("the loop compares by itself", async () => {
  const relay = newRelay({ compareMs: 30 });
  relay.start();
  await publish(relay, 5);
  stream.wipe();
  await until(() => stream.messages.length === 5);
});

test("stopping works with the stream away, and ends publishing", async () => {
  const relay = newRelay();
  relay.start();
  stream.isDown = true;
  relay.publish(await commitEvents(world, owned, 3));
  await relay.stop();
  stream.isDown = false;
  relay.publish(await commitEvents(world, owned, 3));
  await relay.flushed();
  assert.equal(stream.sent, 0);
  assert.equal(await newRelay().sweep(), 6);
});
