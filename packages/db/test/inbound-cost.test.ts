/** What a message costs in Postgres: statements, rows and bytes of WAL. */
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { type KyselyPlugin, sql } from "kysely";
import { commitInbound, type Database, type InboundItem, writeAuth } from "../src/index.ts";
import { entry, hashOf, openLine, stranger, textFrom, type Line } from "./message-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
let single: Database;
const statements: string[] = [];
before(async () => {
  world = await openWorld();
  const recorder: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements.push(node.kind);
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  single = world.open("worker", 1).withPlugin(recorder) as Database;
});
after(() => world[Symbol.asyncDispose]());

type Cost = { statements: number; rows: Record<string, number>; wal: number };

async function written(): Promise<{ rows: Map<string, number>; wal: number }> {
  // The connection's own counters are handed over at the end of this statement.
  await sql`select pg_stat_force_next_flush()`.execute(single);
  const { rows } = await world.superuser.query<{ name: string; count: string; wal: string }>(
    `select regexp_replace(relname, '_[0-9]{6,8}$', '') as name,
        sum(n_tup_ins + n_tup_upd + n_tup_del) as count,
        pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0') as wal
      from pg_stat_user_tables group by 1`,
  );
  return {
    rows: new Map(rows.map(({ name, count }) => [name, Number(count)])),
    wal: Number(rows[0]?.wal),
  };
}

async function costOf(work: () => Promise<unknown>): Promise<Cost> {
  const from = await written();
  statements.length = 0;
  await work();
  const count = statements.length;
  const to = await written();
  const rows: Record<string, number> = {};
  for (const [name, total] of to.rows) {
    const more = total - (from.rows.get(name) ?? 0);
    if (more > 0) rows[name] = more;
  }
  return { statements: count, rows, wal: to.wal - from.wal };
}

const commit = (line: Line, ...items: InboundItem[]) =>
  commitInbound(single, world.test.keyring, line.source, items);

const total = ({ rows }: Cost): number => Object.values(rows).reduce((sum, one) => sum + one, 0);

const decrypt = (line: Line, name: string) =>
  writeAuth(single, world.test.keyring, line.source.fence, {
    keys: [{ kind: "session", key: "a.0", value: Buffer.alloc(600, name) }],
    journal: [entry(name)],
  });

test("a text of a known person: one statement with the ratchet, two with the event, five rows", async (t: TestContext) => {
  const line = await openLine(world);
  const anna = stranger();
  await commit(line, textFrom(anna));
  await decrypt(line, "warm");
  const decrypted = await costOf(() => decrypt(line, "one"));
  assert.deepEqual(
    [decrypted.statements, decrypted.rows],
    [1, { auth_keys: 1, inbound_journal: 1 }],
  );
  const item = textFrom(anna, { journal: [hashOf("one")] });
  const committed = await costOf(() => commit(line, item));
  assert.deepEqual(committed.rows, {
    chats: 1,
    inbound_journal: 1,
    messages: 1,
    event_publications: 1,
    whatsapp_events: 1,
  });
  assert.equal(committed.statements, 2);
  t.diagnostic(`WAL: ${decrypted.wal} bytes with the ratchet, ${committed.wal} with the event`);
});

test("in a batch of one chat it is three rows a message and two more, in two statements", async (t: TestContext) => {
  const line = await openLine(world);
  const anna = stranger();
  await commit(line, textFrom(anna));
  const names = Array.from({ length: 20 }, (_, index) => `batch ${index}`);
  for (const name of names) await decrypt(line, name);
  const items = names.map((name) => textFrom(anna, { journal: [hashOf(name)] }));
  const cost = await costOf(() => commit(line, ...items));
  assert.equal(cost.statements, 2);
  // The chat, and where the events are to be published.
  assert.equal(total(cost), 3 * items.length + 2);
  t.diagnostic(`WAL: ${Math.round(cost.wal / items.length)} bytes a message`);
});

test("what is repeated writes nothing", async () => {
  const line = await openLine(world);
  const item = textFrom(stranger());
  await commit(line, item);
  const cost = await costOf(() => commit(line, item));
  assert.deepEqual(cost.rows, {});
  assert.equal(cost.statements, 1);
});

/** Entries of indexes that were looked at. */
async function entriesRead(): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(single);
  const { rows } = await world.superuser.query<{ read: string }>(
    `select sum(idx_tup_read) as read from pg_stat_user_indexes
      where relname in ('contacts', 'contact_aliases', 'chats') or relname like 'messages%'`,
  );
  return Number(rows[0]?.read);
}

test("whoever else a company knows is not read for a message", async (t: TestContext) => {
  const line = await openLine(world);
  const { companyNo, numberNo } = line.source.fence;
  const anna = stranger();
  await commit(line, textFrom(anna));
  await world.superuser.query(
    `with people as (
        insert into contacts (company_no, contact_id, phone)
          select $1, 'con_many_' || i, '4930' || i from generate_series(1, 2000) i returning contact_no, phone
      ), names as (
        insert into contact_aliases (company_no, kind, value, contact_no)
          select $1, 'phone', phone, contact_no from people
      ), talks as (
        insert into chats (company_no, number_no, chat_id, type, contact_no)
          select $1, $2, 'cht_many_' || contact_no, 'direct', contact_no from people
          returning chat_no, contact_no
      )
      insert into messages (company_no, number_no, message_id, chat_no, contact_no, direction, state, seq,
          provider_message_id, type, at)
        select $1, $2, message_id_from(now()) || lpad(contact_no::text, 20, '0'), chat_no, contact_no, 'in', 'received',
          1, 'many ' || chat_no, 'text', now()
        from talks`,
    [companyNo, numberNo],
  );
  const readFor = async (what: string, next: () => InboundItem): Promise<void> => {
    const from = await entriesRead();
    for (let one = 0; one < 10; one += 1) await commit(line, next());
    const read = (await entriesRead()) - from;
    t.diagnostic(`${read / 10} entries for a message ${what}`);
    assert.ok(read < 10 * 40, `${read} entries for ten messages ${what}`);
  };
  // The plans are those of the connection's first message, made while the tables were all but empty.
  await readFor("of somebody known", () => textFrom(anna));
  await readFor("of somebody new", () => textFrom(stranger()));
});
