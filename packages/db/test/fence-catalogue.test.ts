/** There is no way to write what a number's owner writes but under the number's held fence. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newAttemptId, newCommandId } from "@manyline/contracts";
import { sql } from "kysely";
import {
  enqueueCommand,
  type Fence,
  fencedBatch,
  fencedTransaction,
  insertAttempt,
  setHealth,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { entry, hashOf, lineOf, stranger, textFrom } from "./message-support.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

const WORKER = "manyline_worker";
const WRITES = ["insert", "update", "delete", "truncate"] as const;
/** The fence itself: a worker raises it, which is how it is taken from another; a trigger keeps it from falling. */
const THE_FENCE = "number_fence";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

type Policy = { policyname: string; cmd: string; qual: string | null; with_check: string | null };

/** Tables whose rows are a number's, partitions too, now and whatever is added. */
async function numberTables(): Promise<string[]> {
  const { rows } = await world.superuser.query<{ relname: string }>(
    `select c.relname from pg_class c
      where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
        and exists (select from pg_attribute a where a.attrelid = c.oid and a.attname = 'number_no')
      order by 1`,
  );
  return rows.map(({ relname }) => relname);
}

/** What the worker may do with any column of the table. */
async function workerRights(table: string): Promise<string[]> {
  const { rows } = await world.superuser.query<{ right: string }>(
    `select r as right from unnest($3::text[]) r
      where has_table_privilege($1, $2, r)
        or (r in ('insert', 'update') and has_any_column_privilege($1, $2, r))`,
    [WORKER, table, WRITES],
  );
  return rows.map(({ right }) => right);
}

async function workerPolicies(table: string): Promise<Policy[]> {
  const { rows } = await world.superuser.query<Policy>(
    `select policyname, lower(cmd) as cmd, qual, with_check from pg_policies
      where tablename = $1 and ($2 = any (roles) or 'public' = any (roles))
        and permissive = 'PERMISSIVE'`,
    [table, WORKER],
  );
  return rows;
}

/**
 * The expression is false without a held fence: it compares with what is held, and "or" leads around it
 * nowhere (of a CASE every branch must compare).
 */
function needsFence(expression: string | null): boolean {
  if (expression === null) return false;
  if (/\bor\b/i.test(expression)) return false;
  const branches = /\bcase\b/i.test(expression)
    ? expression.split(/\bthen\b|\belse\b/i).slice(1)
    : [expression];
  return branches.every((branch) =>
    /company_no = (ANY )?\(.*current_setting\('app\.held_companies'/s.test(branch),
  );
}

async function hasRowSecurity(table: string): Promise<boolean> {
  const { rowCount } = await world.superuser.query(
    "select from pg_class where relname = $1 and relrowsecurity and relforcerowsecurity",
    [table],
  );
  return rowCount === 1;
}

/** The writes of the worker to a table that no policy ties to a held fence. */
async function unfencedWrites(table: string): Promise<string[]> {
  const rights = await workerRights(table);
  if (!(await hasRowSecurity(table))) return rights;
  const policies = await workerPolicies(table);
  return rights.filter((right) => {
    // Row security does not apply to it.
    if (right === "truncate") return true;
    const open = policies.filter(({ cmd }) => cmd === right || cmd === "all");
    return open.some(({ qual, with_check: check }) => {
      const written = check ?? qual;
      const judged = { insert: [written], update: [qual, written], delete: [qual] }[right] ?? [];
      return !judged.every(needsFence);
    });
  });
}

describe("the catalogue", () => {
  test("in every table of numbers the worker writes under a policy that needs the held fence, or not at all", async () => {
    const tables = (await numberTables()).filter((table) => table !== THE_FENCE);
    const found: Record<string, string[]> = {};
    for (const table of tables) {
      const rights = await workerRights(table);
      if (rights.length > 0) found[table] = rights;
      assert.deepEqual(await unfencedWrites(table), [], table);
    }
    // Whatever is not here the worker cannot write directly: auth_* by write_auth alone.
    assert.deepEqual(found, {
      chats: ["insert", "update"],
      inbound_journal: ["update"],
      media: ["insert", "update"],
      messages: ["insert", "update"],
      seen: ["insert"],
      commands: ["update"],
      numbers: ["update"],
      pairing_attempts: ["insert", "update"],
      whatsapp_events: ["insert"],
      whatsapp_session_health: ["insert", "update"],
    });
    for (const table of ["auth_creds", "auth_keys", "auth_key_packs"]) {
      assert.ok(tables.includes(table));
      const { rows } = await world.superuser.query<Policy>(
        `select policyname, lower(cmd) as cmd, qual, with_check from pg_policies
          where tablename = $1 and cmd = 'ALL'`,
        [table],
      );
      assert.equal(rows.length, 1, "the right of write_auth");
      for (const { qual, with_check: check } of rows) {
        assert.ok(needsFence(qual) && needsFence(check), table);
      }
    }
  });

  test("people of a company are written only while a fence of one of its numbers is held", async () => {
    for (const table of ["contacts", "contact_aliases"]) {
      assert.deepEqual(await workerRights(table), ["insert", "update"]);
      assert.deepEqual(await unfencedWrites(table), []);
    }
  });

  test("of the numbers' columns the worker may write only what the owner decides", async () => {
    const { rows } = await world.superuser.query<{ attname: string }>(
      `select attname from pg_attribute where attrelid = 'numbers'::regclass and attnum > 0
        and has_column_privilege($1, 'numbers', attname, 'update') order by 1`,
      [WORKER],
    );
    assert.deepEqual(
      rows.map(({ attname }) => attname),
      ["last_connected_at", "phone_e164", "reason", "restriction", "since", "status", "until"],
    );
  });

  test("a fence is raised and nothing else: no insert, no delete, no other column, never down", async () => {
    assert.deepEqual(await workerRights(THE_FENCE), ["update"]);
    const { fence } = await ownedNumber(world);
    const lower = sql`update number_fence set epoch = epoch - 1 where number_no = ${fence.numberNo}`;
    await assert.rejects(lower.execute(world.worker), /an epoch never falls/);
    const other = sql`update number_fence set number_no = 1 where number_no = ${fence.numberNo}`;
    await assert.rejects(other.execute(world.worker), /permission denied/);
  });

  test("this test can fail: it finds a table that is added without the fence", async () => {
    const create = async (name: string, rest: string) => {
      await world.superuser.query(
        `create table ${name} (company_no int, number_no int); grant select, insert, update, delete on ${name} to ${WORKER};
         ${rest.replaceAll("$t", name)}`,
      );
      const unfenced = await unfencedWrites(name);
      await world.superuser.query(`drop table ${name}`);
      return unfenced;
    };
    const rls =
      "alter table $t enable row level security; alter table $t force row level security;";
    const held =
      "company_no = (current_setting('app.held_companies')::int[])[array_position(current_setting('app.held_numbers')::int[], number_no)]";
    assert.deepEqual(
      await create("added_open", `${rls} create policy p on $t to ${WORKER} using (true);`),
      ["insert", "update", "delete"],
    );
    assert.deepEqual(
      await create(
        "added_or",
        `${rls} create policy p on $t for delete to ${WORKER} using (true or ${held});`,
      ),
      ["delete"],
    );
    assert.deepEqual(
      await create(
        "added_public",
        `${rls} create policy p on $t for update using (company_no = 1);`,
      ),
      ["update"],
    );
    assert.deepEqual(
      await create("added_held", `${rls} create policy p on $t to ${WORKER} using (${held});`),
      [],
    );
    assert.deepEqual(await create("added_bare", ""), ["insert", "update", "delete"]);
  });

  test("functions that write without a fence only delete what is old, or end what is overdue", async () => {
    const { rows } = await world.superuser.query<{ proname: string; prosrc: string }>(
      `select proname, prosrc from pg_proc p where prosecdef and pronamespace = 'public'::regnamespace
        and has_function_privilege($1, p.oid, 'execute')
        and prosrc ~* '(insert into|update|delete from)\\s+(auth_|chats|commands|contact|inbound_journal|media|messages|numbers|seen|pairing_attempts|pairing_watch|whatsapp_session_health|api_tokens)'
        order by 1`,
      [WORKER],
    );
    assert.deepEqual(
      rows.map(({ proname }) => proname),
      [
        // Months of messages are moved out of the default partition, or dropped.
        "create_message_partitions",
        "delete_old_attempts",
        "delete_old_commands",
        "delete_old_journal",
        "delete_old_media",
        "delete_old_seen",
        "delete_old_tokens",
        "delete_old_watches",
        "drop_message_partitions",
        "erase_expired_pairing_secrets",
        "expire_commands",
        "write_auth",
        "write_auth_journal",
      ],
    );
    assert.match(
      rows.find(({ proname }) => proname === "write_auth_journal")?.prosrc ?? "",
      /if not write_auth\([^;]*then\s+return false;/,
    );
    assert.match(
      rows.find(({ proname }) => proname === "write_auth")?.prosrc ?? "",
      /not hold_fence/,
    );
  });
});

describe("what a worker without the fence achieves", () => {
  /** Every write there is, on rows of the number and on all. */
  const writes: Record<string, (fence: Fence, id: string) => ReturnType<typeof sql>[]> = {
    auth_creds: (f) => [
      sql`insert into auth_creds (company_no, number_no, value) values (${f.companyNo}, ${f.numberNo}, '')`,
      sql`update auth_creds set value = ''`,
      sql`delete from auth_creds`,
    ],
    auth_keys: (f) => [
      sql`insert into auth_keys (company_no, number_no, kind, key, value)
        values (${f.companyNo}, ${f.numberNo}, 'session', 'x', '')`,
      sql`update auth_keys set value = ''`,
      sql`delete from auth_keys`,
    ],
    auth_key_packs: (f) => [
      sql`insert into auth_key_packs (company_no, number_no, kind, pack_id, keys, value)
        values (${f.companyNo}, ${f.numberNo}, 'pre-key', 'x', '{x}', '')`,
      sql`update auth_key_packs set value = ''`,
      sql`delete from auth_key_packs`,
    ],
    commands: (f, id) => [
      sql`insert into commands (company_no, number_no, command_id, verb, deadline_at)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'reconnect', now())`,
      sql`update commands set state = 'claimed', claimed_epoch = ${f.epoch}`,
      sql`update commands set state = 'done', result = '{}', finished_at = now()`,
      sql`update commands set state = 'dead', finished_at = now()`,
      sql`delete from commands`,
    ],
    numbers: () => [
      sql`insert into numbers (company_no, number_id, provider) values (1, 'num_x', 'linked')`,
      sql`update numbers set status = 'error', phone_e164 = '1'`,
      sql`delete from numbers`,
    ],
    pairing_attempts: (f, id) => [
      sql`insert into pairing_attempts (company_no, number_no, attempt_id, method, state, max, epoch)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'qr', 'starting', 3, ${f.epoch})`,
      sql`update pairing_attempts set state = 'ended', ended_at = now()`,
      sql`delete from pairing_attempts`,
    ],
    pairing_watch: (f) => [
      sql`insert into pairing_watch values (${f.companyNo}, ${f.numberNo}, now())`,
      sql`update pairing_watch set until = now()`,
      sql`delete from pairing_watch`,
    ],
    whatsapp_session_health: (f) => [
      sql`insert into whatsapp_session_health (company_no, number_no, status)
        values (${f.companyNo}, ${f.numberNo}, 'error')`,
      sql`update whatsapp_session_health set status = 'error', last_seen = now()`,
      sql`delete from whatsapp_session_health`,
    ],
    whatsapp_events: (f, id) => [
      sql`insert into whatsapp_events (company_no, number_no, event_id, type, subject, envelope)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'x', 'x', '{}')`,
      sql`insert into whatsapp_events (company_no, event_id, type, subject, envelope)
        values (${f.companyNo}, ${id}, 'x', 'x', '{}')`,
      sql`update whatsapp_events set type = 'x'`,
      sql`delete from whatsapp_events`,
    ],
    chats: (f, id) => [
      sql`insert into chats (company_no, number_no, chat_id, type) values (${f.companyNo}, ${f.numberNo}, ${id}, 'direct')`,
      sql`update chats set seq = 99, contact_no = null, merged_into = 1`,
      sql`delete from chats`,
    ],
    messages: (f, id) => [
      sql`insert into messages (company_no, number_no, message_id, chat_no, direction, state, seq,
          provider_message_id, type, at)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 1, 'in', 'received', 1, 'x', 'text', now())`,
      sql`update messages set state = 'sending', claimed_epoch = ${f.epoch}`,
      sql`update messages set text = 'x', deleted_at = now()`,
      sql`delete from messages`,
    ],
    media: (f, id) => [
      sql`insert into media (company_no, number_no, media_id, kind, mime_type)
        values (${f.companyNo}, ${f.numberNo}, ${id}, 'image', 'x')`,
      sql`update media set state = 'gone', source = null`,
      sql`delete from media`,
    ],
    inbound_journal: (f) => [
      sql`insert into inbound_journal (company_no, number_no, hash, value) values (${f.companyNo}, ${f.numberNo}, '', '')`,
      sql`update inbound_journal set done_at = now(), value = null`,
      sql`delete from inbound_journal`,
    ],
    seen: (f) => [
      sql`insert into seen (company_no, number_no, hash) values (${f.companyNo}, ${f.numberNo}, '')`,
      sql`update seen set at = now()`,
      sql`delete from seen`,
    ],
    removed_numbers: (f) => [
      sql`insert into removed_numbers (company_no, number_no) values (${f.companyNo}, ${f.numberNo})`,
      sql`update removed_numbers set removed_at = now()`,
      sql`delete from removed_numbers`,
    ],
    job_items: (f) => [
      sql`insert into job_items (job_id, company_no, number_no) values ('x', ${f.companyNo}, ${f.numberNo})`,
      sql`update job_items set state = 'done'`,
      sql`delete from job_items`,
    ],
    api_tokens: () => [sql`update api_tokens set revoked_at = now()`, sql`delete from api_tokens`],
  };

  async function filled(): Promise<Fence> {
    const owned = await ownedNumber(world);
    const { fence } = owned;
    const { companyNo, numberNo } = fence;
    await writeAuth(world.worker, world.test.keyring, fence, {
      creds: Buffer.from("creds"),
      keys: Array.from({ length: 20 }, (_, index) => ({
        kind: index < 10 ? "pre-key" : "session",
        key: String(index),
        value: Buffer.from("key"),
      })),
      journal: [entry("open"), entry("done")],
    });
    await lineOf(world, owned).commit(
      textFrom(stranger(), {
        journal: [hashOf("done")],
        media: {
          mimeType: "image/png",
          bytes: 1,
          sha256: null,
          fileName: null,
          source: Buffer.from("key"),
        },
      }),
    );
    await fencedTransaction(world.worker, fence, async (tx) => {
      const attemptId = newAttemptId();
      await insertAttempt(tx, fence, {
        attemptId,
        method: "qr",
        state: "starting",
        phone: null,
        max: 3,
      });
      await setHealth(tx, fence, { status: "connected", reconnectAttempts: 0, lastSeenAt: null });
    });
    await withCompany(world.app, companyNo, (tx) =>
      enqueueCommand(tx, {
        commandId: newCommandId(),
        companyNo,
        numberNo,
        verb: "reconnect",
        args: {},
        deadlineMs: 60_000,
      }),
    );
    return fence;
  }

  /** Everything that is stored of the number. */
  async function contents(fence: Fence): Promise<string> {
    const found: unknown[] = [];
    for (const table of await numberTables()) {
      const { rows } = await world.superuser.query(
        `select * from ${table} where company_no = $1 order by ${table}::text`,
        [fence.companyNo],
      );
      found.push([table, rows]);
    }
    return JSON.stringify(found);
  }

  /** The SQLSTATE of a refusal, or how many rows were changed. */
  async function attack(run: () => Promise<{ numAffectedRows?: bigint | undefined }>) {
    try {
      return Number((await run()).numAffectedRows ?? 0n);
    } catch (error) {
      assert.ok(error instanceof Error && "code" in error, String(error));
      return String(error.code);
    }
  }

  test("each insert, update and delete changes nothing or is refused: without a fence, with another's, with a stale one", async () => {
    const victim = await filled();
    const other = await filled();
    const stale = { ...victim, epoch: victim.epoch - 1 };
    const tables = (await numberTables()).filter(
      (table) => table !== THE_FENCE && !/^(whatsapp_events|messages)_/.test(table),
    );
    assert.deepEqual(new Set(Object.keys(writes)), new Set(tables), "tell this test how to write");
    const untouched = await contents(victim);
    let tries = 0;
    for (const table of tables) {
      for (const statement of writes[table]?.(victim, "probe") ?? []) {
        tries += 1;
        const name = `${table}: ${statement.compile(world.worker).sql}`;
        const bare = await attack(() => statement.execute(world.worker));
        assert.ok(bare === 0 || bare === "42501", `${name}: ${bare}`);
        const staleOne = await attack(() =>
          fencedBatch(world.worker, [stale], async (tx, held) => {
            assert.deepEqual(held, []);
            return statement.execute(tx);
          }),
        );
        assert.ok(staleOne === 0 || staleOne === "42501", `${name}, stale: ${staleOne}`);
        // Under another's fence it may change that one's own rows.
        await attack(() => fencedTransaction(world.worker, other, (tx) => statement.execute(tx)));
        assert.equal(await contents(victim), untouched, name);
      }
    }
    assert.ok(tries >= 50, String(tries));
  });

  test("with the fence the same statements do write", async () => {
    const fence = await filled();
    const { numAffectedRows } = await fencedTransaction(world.worker, fence, (tx) =>
      sql`update numbers set status = 'error'`.execute(tx),
    );
    assert.equal(numAffectedRows, 1n, "of all numbers only the held one");
  });
});
