/** Webhooks that were answered before they were committed. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  type Database,
  type IngestWebhook,
  journalWebhooks,
  oldEntries,
  setAside,
} from "../src/index.ts";
import {
  addMetaNumber,
  entryOf,
  ingest,
  loggedTypes,
  type MetaLine,
  textMessage,
  webhookOf,
} from "./meta-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
let db: Database;
before(async () => {
  world = await openWorld();
  db = world.open("ingest");
});
after(() => world[Symbol.asyncDispose]());

describe("the journal", () => {
  const entries = async (): Promise<number[]> =>
    (
      await world.superuser.query<{ no: string }>(
        "select entry_no as no from webhook_journal order by 1",
      )
    ).rows.map(({ no }) => Number(no));
  const textOf = (line: MetaLine): IngestWebhook =>
    webhookOf([entryOf(line, { messages: [textMessage()] })]);
  const typesOf = async (line: MetaLine): Promise<string[]> =>
    (await loggedTypes(world, line)).filter((type) => type === "message.received");

  test("keeps webhooks as they came, of whose app they are, until they are committed", async () => {
    const line = await addMetaNumber(world);
    const { companyNo, companyId } = line.company;
    const own = { ...textOf(line), app: { companyNo, companyId } };
    const entryNos = await journalWebhooks(db, [textOf(line), own]);
    assert.deepEqual(await entries(), entryNos);
    const all = { olderThanMs: 0, except: [], limit: 10, bytes: 1_000_000 };
    const kept = await oldEntries(db, all);
    assert.deepEqual(
      kept.map(({ entryNo, app }) => ({ entryNo, app })),
      [
        { entryNo: entryNos[0], app: null },
        { entryNo: entryNos[1], app: own.app },
      ],
    );
    assert.deepEqual(kept[1]?.payload, own.raw);
    assert.deepEqual(await oldEntries(db, { ...all, olderThanMs: 60_000 }), []);
    const sizes = kept.map(({ payload }) => payload.length);
    assert.equal((await oldEntries(db, { ...all, bytes: sizes[0] ?? 0 })).length, 1);
    assert.equal((await oldEntries(db, { ...all, bytes: (sizes[0] ?? 0) + 1 })).length, 2);
    assert.equal((await oldEntries(db, { ...all, except: entryNos.slice(0, 1) })).length, 1);
    await ingest(world, db, { ...own, entryNo: entryNos[1] });
    assert.deepEqual(await entries(), entryNos.slice(0, 1));
    await world.superuser.query("delete from webhook_journal");
  });

  test("an entry is committed by one of those who have it, and once", async () => {
    const line = await addMetaNumber(world);
    const webhooks = Array.from({ length: 6 }, () => textOf(line));
    const entryNos = await journalWebhooks(db, webhooks);
    const journaled = webhooks.map((one, place) =>
      Object.assign(one, { entryNo: entryNos[place] }),
    );
    const done = await Promise.all([
      ingest(world, db, ...journaled),
      ingest(world, db, ...journaled.toReversed()),
      ingest(world, db, ...journaled.slice(2, 4)),
    ]);
    const stored = done.flatMap(({ events }) =>
      events.filter(({ type }) => type === "message.received"),
    );
    assert.equal(stored.length, 6);
    assert.equal(
      done.reduce((total, { repeated }) => total + repeated, 0),
      0,
      "what another has ended is not even looked at",
    );
    assert.equal((await typesOf(line)).length, 6);
    assert.deepEqual(await entries(), []);
  });

  test("of a webhook in two commits the second ends the entry; one that is set aside ends it as well", async () => {
    const line = await addMetaNumber(world);
    const [both, aside] = [
      webhookOf([entryOf(line, { messages: [textMessage(), textMessage()] })]),
      textOf(line),
    ];
    const [entryNo, other] = await journalWebhooks(db, [both, aside]);
    const { webhook } = both;
    const part = (from: number, to: number) => ({
      ...both,
      webhook: { ...webhook, items: webhook.items.slice(from, to) },
    });
    await ingest(world, db, part(0, 1));
    assert.deepEqual(await entries(), [entryNo, other]);
    await ingest(world, db, { ...part(1, 2), entryNo });
    assert.deepEqual(await entries(), [other]);
    assert.equal((await typesOf(line)).length, 2);
    await setAside(db, { ...aside, entryNo: other });
    assert.deepEqual(await entries(), []);
    await setAside(db, { ...aside, entryNo: other });
    const { rows } = await world.superuser.query(
      "select reason, times from unroutable where waba_id = $1",
      [line.wabaId],
    );
    assert.deepEqual(rows, [{ reason: "failed", times: 1 }]);
  });
});
