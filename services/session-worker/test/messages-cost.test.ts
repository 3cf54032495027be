/** What a message that comes costs the database: statements, rows, bytes of its log. Printed, with a ceiling. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { it, type TestContext } from "node:test";
import { asSuperuser } from "@manyline/db/testing";
import {
  contact,
  linked,
  toldOf,
  toldOfMessages,
  untilNoMore,
  type Linked,
} from "./conversations.ts";
import { openRoom, type Room } from "./room.ts";

const COUNT = 100;

type Counted = {
  tables: Map<string, number>;
  walBytes: number;
  statements: Map<string, number>;
};

/** Rows written by table, log written, and statements of the worker by their first words, so far. */
async function counted(room: Room): Promise<Counted> {
  const tables = await asSuperuser<{ name: string; count: number }>(
    room.database,
    `select regexp_replace(relname, '_[0-9]+$', '') as name,
       sum(n_tup_ins + n_tup_upd + n_tup_del)::int as count from pg_stat_user_tables group by 1`,
  );
  const [wal] = await asSuperuser<{ bytes: number }>(
    room.database,
    "select (pg_current_wal_lsn() - '0/0')::float8 as bytes",
  );
  const statements = new Map<string, number>();
  const log = readFileSync(room.postgres?.spec.logFile ?? "", "utf8");
  for (const record of log.split(/\n(?=[\w-]*\|)/)) {
    const text = /^session-worker(?:-relay)?\|[^]*?(?:statement|execute \S+): +([^]*)$/.exec(
      record,
    )?.[1];
    if (text === undefined) continue;
    const name = text
      .trim()
      .split(/[\s(]+/)
      .slice(0, 4)
      .join(" ");
    statements.set(name, (statements.get(name) ?? 0) + 1);
  }
  return {
    tables: new Map(tables.map(({ name, count }) => [name, count])),
    walBytes: wal?.bytes ?? 0,
    statements,
  };
}

function perMessage(before: Map<string, number>, now: Map<string, number>): Map<string, number> {
  const each = [...now].map(([name, count]) => [name, (count - (before.get(name) ?? 0)) / COUNT]);
  return new Map((each as [string, number][]).filter(([, count]) => count >= 0.05));
}

const total = (counts: Map<string, number>): number =>
  [...counts.values()].reduce((sum, count) => sum + count, 0);
const listed = (counts: Map<string, number>): string =>
  [...counts].map(([name, count]) => `${name} ${count.toFixed(2)}`).join(", ");

async function measure(t: TestContext, room: Room, one: Linked, what: string, pauseMs: number) {
  const { messages } = contact(room, what);
  const { id } = await messages.sendText(one.phone, "hello");
  await toldOf(room, one, "message.received", id);
  const known = (await toldOfMessages(room, one)).length;
  // The statistics come with some delay, and the relay marks what it has published.
  await delay(2_500);
  const before = await counted(room);
  for (let index = 0; index < COUNT; index += 1) {
    await messages.sendText(one.phone, `number ${index}`);
    await delay(pauseMs);
  }
  const told = await untilNoMore(room, one, known + COUNT, 15_000);
  assert.equal(told.length, known + COUNT);
  await delay(2_500);
  const now = await counted(room);
  const rows = perMessage(before.tables, now.tables);
  const statements = perMessage(before.statements, now.statements);
  t.diagnostic(`${what}: rows ${total(rows).toFixed(2)}: ${listed(rows)}`);
  t.diagnostic(`${what}: statements ${total(statements).toFixed(2)}: ${listed(statements)}`);
  const bytes = (now.walBytes - before.walBytes) / COUNT;
  t.diagnostic(`${what}: ${Math.round(bytes)} bytes of WAL`);
  return { rows: total(rows), statements: total(statements), bytes };
}

it("a text from a known person costs what it should", async (t: TestContext) => {
  const room = await openRoom({ ownPostgres: true });
  t.after(() => room.close());
  const one = await linked(room);
  for (const setting of ["log_statement = 'all'", "log_line_prefix = '%a|'"]) {
    await asSuperuser(room.database, `alter system set ${setting}`);
  }
  await asSuperuser(room.database, "select pg_reload_conf()");
  const alone = await measure(t, room, one, "one at a time", 60);
  // Inserts: journal, message, event, publication. Updates: ratchet, chat, journal done, publication.
  assert.ok(alone.rows <= 8.5, `${alone.rows} rows`);
  assert.ok(alone.statements <= 10, `${alone.statements} statements`);
  const burst = await measure(t, room, one, "in a burst", 0);
  assert.ok(burst.rows <= 8.5, `${burst.rows} rows`);
});
