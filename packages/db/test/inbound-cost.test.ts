/** What a message costs in Postgres: statements, rows and bytes of WAL. */
import assert from "node:assert/strict";
import { after, before, test, type TestContext } from "node:test";
import { type KyselyPlugin, sql } from "kysely";
import { commitInbound, type Database, type InboundItem, writeAuth } from "../src/index.ts";
import {
  entry,
  hashOf,
  type Line,
  lineOf,
  openLine,
  sendingIn,
  stranger,
  textFrom,
} from "./message-support.ts";
import { addMetaNumber, entryOf, ingest, textMessage, webhookOf } from "./meta-support.ts";
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

/** A company whose one chat has 3,000 messages, and what comes in for one of them or beside them, by what it is. */
async function openLarge() {
  const on = { worker: world.open("worker", 1), ingest: world.open("ingest", 1) };
  const [line, meta] = [await openLine(world), await addMetaNumber(world)];
  const { company, number } = meta;
  const fence = { companyNo: company.companyNo, numberNo: number.numberNo, epoch: 0 };
  const ours = await sendingIn(() => world).enqueue(lineOf(world, { company, number, fence }));
  const anna = stranger();
  const told = (value: object) => ingest(world, on.ingest, webhookOf([entryOf(meta, value)]));
  const message = (more: object = {}) => told({ messages: [textMessage(more)] });
  const status = (id: string, more: object = {}) =>
    told({ statuses: [{ id, status: "delivered", recipient_id: "15550100019", ...more }] });
  let last = 0;
  const many = (): string => `many ${(last += 1)}`;
  const works = {
    "text of a linked number": () =>
      commitInbound(on.worker, world.test.keyring, line.source, [textFrom(anna)]),
    text: () => message(),
    answer: () => message({ context: { id: many() } }),
    reaction: () => message({ type: "reaction", reaction: { message_id: many(), emoji: "✓" } }),
    "status of ours": () => status(many(), { biz_opaque_callback_data: ours.messageId }),
    "status of another": () => status(many()),
    "status of nothing": () => status(`no ${many()}`),
  };
  // The first of each makes the plan of its connection.
  for (const work of Object.values(works)) await work();
  for (const { companyNo, numberNo } of [line.source.fence, fence]) {
    await world.superuser.query(
      `insert into messages (company_no, number_no, message_id, chat_no, contact_no, direction, state, seq,
          provider_message_id, type, at)
        select $1, $2, message_id_from(now()) || lpad(i::text, 20, '0'), c.chat_no, c.contact_no, 'in', 'received', i,
          'many ' || i, 'text', now()
        from (select chat_no, contact_no from chats where company_no = $1 limit 1) c, generate_series(1, 3000) i`,
      [companyNo, numberNo],
    );
  }
  const assertFew = async (t: TestContext): Promise<void> => {
    for (const [what, work] of Object.entries(works)) {
      const db = what.includes("linked") ? on.worker : on.ingest;
      const from = await entriesRead(db);
      for (let one = 0; one < 5; one += 1) await work();
      const read = (await entriesRead(db)) - from;
      t.diagnostic(`${read / 5} entries for a ${what}`);
      assert.ok(read < 5 * 60, `${read} entries for five times a ${what}`);
    }
  };
  return { on, assertFew };
}

test("one of a company's thousands of messages is found by its name, with the plans of its first", async (t: TestContext) => {
  const { assertFew } = await openLarge();
  await assertFew(t);
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

/** Entries of indexes that were looked at by what `db`, which has one connection, has done. */
async function entriesRead(db = single): Promise<number> {
  await sql`select pg_stat_force_next_flush()`.execute(db);
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

test("and so it is where an average company has next to none, as the planner sees it", async (t: TestContext) => {
  const { on, assertFew } = await openLarge();
  await world.superuser.query("vacuum analyze messages");
  await world.superuser.query(
    `select pg_restore_attribute_stats('schemaname', 'public', 'relname', c.relname::text,
        'attname', a.attname::text, 'inherited', false, 'null_frac', 0::real, 'avg_width', 4,
        'n_distinct', 10000::real)
      from pg_class c join pg_attribute a on a.attrelid = c.oid
      where c.relkind = 'r' and a.attname in ('company_no', 'number_no') and c.relname ~ '^messages_[0-9]'`,
  );
  Object.assign(on, { worker: world.open("worker", 1), ingest: world.open("ingest", 1) });
  await assertFew(t);
});
