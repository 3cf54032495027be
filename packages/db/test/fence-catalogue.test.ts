/** There is no way to write what a number's owner writes but under the number's held fence. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { sql } from "kysely";
import { numberTables, THE_FENCE } from "./catalogue.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

const WORKER = "manyline_worker";
const WRITES = ["insert", "update", "delete", "truncate"] as const;

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

type Policy = { policyname: string; cmd: string; qual: string | null; with_check: string | null };

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
    const tables = (await numberTables(world)).filter((table) => table !== THE_FENCE);
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
      [
        "is_active",
        "last_connected_at",
        "phone_e164",
        "reason",
        "restriction",
        "secrets",
        "settings",
        "since",
        "status",
        "token_hash",
        "until",
      ],
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
