import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { eventDefinition, parseEvent } from "@manyline/contracts";
import {
  appendEvents,
  dropOldPartitions,
  ensurePartitions,
  eventNoOf,
  eventsSince,
  fencedTransaction,
  feedStart,
  inTransaction,
  listEvents,
  withCompany,
} from "../src/index.ts";
import { asRead, commitEvents } from "./event-support.ts";
import { addCompany, addNumber, openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

async function partitions(): Promise<string[]> {
  const { rows } = await world.superuser.query<{ relname: string }>(
    `select c.relname from pg_inherits i join pg_class c on c.oid = i.inhrelid
      where i.inhparent = 'whatsapp_events'::regclass order by 1`,
  );
  return rows.map(({ relname }) => relname);
}

const nameOf = (dayOffset: number): string =>
  `whatsapp_events_${new Date(Date.now() + dayOffset * 86_400_000).toISOString().slice(0, 10).replaceAll("-", "")}`;

describe("the log", () => {
  test("events are stored with their facts, in their order, and come back as they were", async () => {
    const owned = await ownedNumber(world);
    const stored = asRead(await commitEvents(world, owned, 5));
    const { companyNo } = owned.company;
    const listed = await withCompany(world.app, companyNo, (tx) =>
      listEvents(tx, { companyNo, limit: 10 }),
    );
    assert.deepEqual(listed, stored);
    const numbers = stored.map(({ eventNo }) => eventNo);
    assert.deepEqual(
      numbers,
      numbers.toSorted((x, y) => x - y),
    );
    const parsed = parseEvent(listed[0]?.envelope);
    assert.ok(parsed.ok);
    assert.equal(parsed.definition, eventDefinition("session.connected"));
    assert.equal(listed[0]?.createdAt.getTime(), stored[0]?.createdAt.getTime());
  });

  test("a transaction that is undone leaves no event", async () => {
    const owned = await ownedNumber(world);
    const [event] = await commitEvents(world, owned, 1);
    assert.ok(event);
    await assert.rejects(
      fencedTransaction(world.worker, owned.fence, async (tx) => {
        const again = {
          natsSubject: event.natsSubject,
          envelope: { ...event.envelope, id: "evt_2" },
        };
        const { companyNo, numberNo } = owned.fence;
        await appendEvents(tx, [{ companyNo, numberNo, event: again }]);
        throw new Error("undo");
      }),
      /undo/,
    );
    const { companyNo } = owned.company;
    const listed = await listEvents(world.platform, { companyNo, limit: 10 });
    assert.equal(listed.length, 1);
  });

  test("reading goes on after a given event, for a company or one of its numbers", async () => {
    const owned = await ownedNumber(world);
    const { companyNo } = owned.company;
    const stored = await commitEvents(world, owned, 4);
    const ids = async (more: { afterId?: string; numberNo?: number; limit?: number }) =>
      (await listEvents(world.platform, { companyNo, limit: 10, ...more })).map(
        ({ eventId }) => eventId,
      );
    const all = stored.map(({ eventId }) => eventId);
    assert.deepEqual(await ids({ afterId: all[1] ?? "" }), all.slice(2));
    assert.deepEqual(await ids({ afterId: "evt_unknown" }), all);
    assert.deepEqual(await ids({ limit: 2 }), all.slice(0, 2));
    const sibling = await addNumber(world, companyNo);
    assert.deepEqual(await ids({ numberNo: sibling.numberNo }), []);
    assert.deepEqual(await ids({ numberNo: owned.number.numberNo }), all);
    const other = await addCompany(world);
    const foreign = await withCompany(world.app, other.companyNo, (tx) =>
      listEvents(tx, { companyNo, limit: 10 }),
    );
    assert.deepEqual(foreign, []);
  });
});

describe("the feed", () => {
  const all = { events: 100, bytes: 1_000_000 };

  test("a page is behind a position, without what was had, and says whether there is more", async () => {
    const owned = await ownedNumber(world);
    const { companyNo } = owned.company;
    const stored = asRead(await commitEvents(world, owned, 5));
    const nos = stored.map(({ eventNo }) => eventNo);
    const scope = { companyNo, numberNo: null };
    const read = (more: object, limit = all) =>
      withCompany(world.app, companyNo, (tx) =>
        eventsSince(tx, scope, { afterNo: 0, ...more }, limit),
      );
    assert.deepEqual(await read({}), { events: stored, hasMore: false });
    assert.deepEqual(await read({ afterNo: nos[1] }), { events: stored.slice(2), hasMore: false });
    assert.deepEqual((await read({ except: [nos[0], nos[3]] })).events.length, 3);
    assert.deepEqual((await read({ since: stored[4]?.createdAt })).events, []);
    assert.deepEqual(await read({}, { events: 2, bytes: 1_000_000 }), {
      events: stored.slice(0, 2),
      hasMore: true,
    });
    assert.deepEqual(
      await read({}, { events: 100, bytes: 1 }),
      { events: stored.slice(0, 1), hasMore: true },
      "at least one, however large",
    );
    assert.equal(await eventNoOf(world.platform, companyNo, stored[2]?.eventId ?? ""), nos[2]);
    assert.equal(await eventNoOf(world.platform, companyNo, "evt_unknown"), undefined);
    const sibling = await addNumber(world, companyNo);
    const ofSibling = { companyNo, numberNo: sibling.numberNo };
    const none = await eventsSince(world.platform, ofSibling, { afterNo: 0 }, all);
    assert.deepEqual(none, { events: [], hasMore: false });
    const other = await addCompany(world);
    const foreign = await withCompany(world.app, other.companyNo, (tx) =>
      eventsSince(tx, scope, { afterNo: 0 }, all),
    );
    assert.deepEqual(foreign.events, []);
  });

  test("it starts some time back, and finds there what was not committed then", async () => {
    const owned = await ownedNumber(world);
    const { companyNo } = owned.company;
    const [old] = asRead(await commitEvents(world, owned, 1));
    assert.ok(old);
    await world.superuser.query(
      "update whatsapp_events set created_at = created_at - interval '1 minute' where event_no = $1",
      [old.eventNo],
    );
    const [recent] = asRead(await commitEvents(world, owned, 1));
    assert.ok(recent);
    const scope = { companyNo, numberNo: null };
    const late = await inTransaction(world.platform, async (tx) => {
      const event = {
        natsSubject: recent.natsSubject,
        envelope: { ...recent.envelope, id: "evt_late" },
      };
      const [written] = await appendEvents(tx, [{ companyNo, numberNo: null, event }]);
      const start = await feedStart(world.platform, companyNo, 10_000);
      assert.equal(start.now.getTime() - start.since.getTime(), 10_000);
      assert.equal(start.afterNo, old.eventNo);
      assert.deepEqual(
        start.recent.map(({ eventNo }) => eventNo),
        [recent.eventNo],
      );
      return { written, position: { ...start, except: [recent.eventNo] } };
    });
    const { events } = await eventsSince(world.platform, scope, late.position, all);
    assert.deepEqual(
      events.map(({ eventNo }) => eventNo),
      [late.written?.eventNo],
    );
  });
});

describe("partitions", () => {
  test("the next days are there, and are made only once", async () => {
    const names = await partitions();
    for (const day of [0, 1, 2, 3]) assert.ok(names.includes(nameOf(day)), nameOf(day));
    assert.equal(await ensurePartitions(world.worker, 3), 0);
    const made = await Promise.all([1, 2].map(() => ensurePartitions(world.open("worker"), 5)));
    assert.deepEqual(
      made.toSorted((x, y) => x - y),
      [0, 2],
    );
  });

  test("what fell into the default partition is moved when its day gets one", async () => {
    const owned = await ownedNumber(world);
    const [stored] = await commitEvents(world, owned, 1);
    const day = 7;
    await world.superuser.query(
      `insert into whatsapp_events (company_no, event_id, type, subject, envelope, created_at)
        select company_no, 'evt_future', type, subject, envelope, created_at + $2 * interval '1 day'
        from whatsapp_events where event_no = $1`,
      [stored?.eventNo, day],
    );
    const inDefault = () =>
      world.superuser.query("select from whatsapp_events_default where event_id = 'evt_future'");
    assert.equal((await inDefault()).rowCount, 1);
    await ensurePartitions(world.worker, day);
    assert.equal((await inDefault()).rowCount, 0);
    const { rowCount } = await world.superuser.query(
      `select from ${nameOf(day)} where event_id = 'evt_future'`,
    );
    assert.equal(rowCount, 1);
    const { rows } = await world.superuser.query<{ forced: boolean }>(
      "select relforcerowsecurity as forced from pg_class where relname = $1",
      [nameOf(day)],
    );
    assert.equal(rows[0]?.forced, true);
  });

  test("old days are dropped, young ones are not", async () => {
    for (const day of [-10, -9, -8]) {
      const midnight = new Date(Date.now() + day * 86_400_000).toISOString().slice(0, 10);
      await world.superuser.query(
        `create table ${nameOf(day)} partition of whatsapp_events
          for values from ('${midnight}T00:00Z') to ('${midnight}T00:00Z'::timestamptz + interval '1 day')`,
      );
      await world.superuser.query(`alter table ${nameOf(day)} owner to manyline_owner`);
    }
    assert.equal(await dropOldPartitions(world.worker, 8), 2);
    const names = await partitions();
    assert.deepEqual(
      [-10, -9, -8, 0].map((day) => names.includes(nameOf(day))),
      [false, false, true, true],
    );
    await assert.rejects(dropOldPartitions(world.worker, 1), /at least 2 days/);
  });
});
