import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { sql } from "kysely";
import { DB_ROLES, loginOf } from "../src/index.ts";
import { can as canIn, companyTables as tablesIn } from "./catalogue.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const companyTables = (kinds: string[]) => tablesIn(world, kinds);
const can = (role: string, table: string, right: string) => canIn(world, role, table, right);

test("every table with company data, partitions too, has row security enabled and forced", async () => {
  const { rows } = await world.superuser.query<{ relname: string }>(
    `select c.relname from pg_class c join pg_attribute t on t.attrelid = c.oid
      where t.attname = 'company_no' and c.relkind in ('r', 'p')
        and not (c.relrowsecurity and c.relforcerowsecurity)`,
  );
  assert.deepEqual(rows, []);
  const tables = await companyTables(["r", "p"]);
  assert.ok(tables.length >= 15, tables.join());
});

test("no service role is a superuser, owns anything, or gets around row security", async () => {
  const { rows } = await world.superuser.query<Record<string, boolean>>(
    `select rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication,
        exists (select from pg_class c where c.relowner = r.oid) as owns,
        exists (select from pg_auth_members m where m.member = r.oid) as is_member
      from pg_roles r where rolname = any ($1)`,
    [DB_ROLES.map(loginOf)],
  );
  assert.equal(rows.length, DB_ROLES.length);
  for (const row of rows) assert.deepEqual(Object.values(row).filter(Boolean), []);
});

test("each policy of role app names the company, and nothing is for everybody", async () => {
  const { rows } = await world.superuser.query<{
    tablename: string;
    roles: string;
    qual: string | null;
    with_check: string | null;
  }>("select tablename, roles::text, qual, with_check from pg_policies");
  for (const { tablename, roles, qual, with_check: check } of rows) {
    assert.ok(!roles.includes("public"), tablename);
    if (!roles.includes("manyline_app")) continue;
    for (const expression of [qual, check]) {
      if (expression !== null)
        assert.match(expression, /company_no = .*app\.company_no/, tablename);
    }
  }
  const withApp = new Set(
    rows.filter(({ roles }) => roles.includes("manyline_app")).map(({ tablename }) => tablename),
  );
  for (const table of await companyTables(["r", "p"])) {
    assert.equal(withApp.has(table), await can("manyline_app", table, "select"), table);
  }
});

test("functions that run with the owner's rights are the known ones, for the roles that need them", async () => {
  const { rows } = await world.superuser.query<{ proname: string; callers: string[] }>(
    `select p.proname, array(select rolname from pg_roles where rolname = any ($1)
        and has_function_privilege(oid, p.oid, 'execute') order by 1)::text[] as callers
      from pg_proc p where p.prosecdef and p.pronamespace = 'public'::regnamespace order by 1`,
    [DB_ROLES.map(loginOf)],
  );
  const gateway = ["manyline_app", "manyline_platform"];
  const worker = ["manyline_worker"];
  assert.deepEqual(rows, [
    { proname: "authenticate", callers: gateway },
    { proname: "count_portfolio_people", callers: ["manyline_app"] },
    { proname: "create_event_partitions", callers: worker },
    { proname: "create_message_partitions", callers: worker },
    { proname: "delete_known_sends", callers: worker },
    { proname: "delete_old_attempts", callers: worker },
    { proname: "delete_old_commands", callers: worker },
    { proname: "delete_old_deliveries", callers: worker },
    { proname: "delete_old_idempotency", callers: worker },
    { proname: "delete_old_jobs", callers: worker },
    { proname: "delete_old_journal", callers: worker },
    { proname: "delete_old_media", callers: worker },
    { proname: "delete_old_notifications", callers: worker },
    { proname: "delete_old_publications", callers: worker },
    { proname: "delete_old_seen", callers: worker },
    { proname: "delete_old_tokens", callers: worker },
    { proname: "delete_old_unroutable", callers: worker },
    { proname: "delete_old_usage", callers: worker },
    { proname: "delete_old_watches", callers: worker },
    { proname: "delete_retired_flow_keys", callers: worker },
    { proname: "drop_event_partitions", callers: worker },
    { proname: "drop_message_partitions", callers: worker },
    { proname: "end_notice_links", callers: ["manyline_notify"] },
    { proname: "erase_expired_pairing_secrets", callers: worker },
    { proname: "exchange_link", callers: gateway },
    { proname: "expire_commands", callers: worker },
    { proname: "forget_dropped_files", callers: worker },
    { proname: "list_dropped_files", callers: worker },
    { proname: "make_notice_link", callers: ["manyline_notify"] },
    { proname: "merge_shards", callers: ["manyline_platform", "manyline_worker"] },
    { proname: "note_dropped_file", callers: [] },
    { proname: "note_publication", callers: [] },
    { proname: "note_removed_number", callers: [] },
    { proname: "note_unknown_send", callers: [] },
    { proname: "purge_removed_numbers", callers: worker },
    { proname: "split_shard", callers: ["manyline_platform", "manyline_worker"] },
    { proname: "write_auth", callers: worker },
    { proname: "write_auth_journal", callers: worker },
  ]);
});

test("views show what their reader may see", async () => {
  const { rows } = await world.superuser.query<{ relname: string; reloptions: string[] | null }>(
    "select relname, reloptions from pg_class where relkind = 'v' and relnamespace = 'public'::regnamespace",
  );
  assert.equal(rows.length, 3);
  for (const { relname, reloptions } of rows) {
    assert.ok(reloptions?.includes("security_invoker=true"), relname);
  }
});

test("role relay reads the event log and nothing else", async () => {
  for (const table of await companyTables(["r", "p", "v"])) {
    const isLog = table === "whatsapp_events";
    assert.equal(await can("manyline_relay", table, "select"), isLog, table);
    assert.equal(await can("manyline_relay", table, "insert"), false, table);
  }
  await assert.rejects(
    sql`update whatsapp_events set envelope = '{}'`.execute(world.relay),
    /permission denied/,
  );
  for (const login of DB_ROLES.map(loginOf)) {
    const isRelay = login === "manyline_relay";
    assert.equal(await can(login, "event_publications", "select"), isRelay, login);
    assert.equal(await can(login, "event_publications", "insert"), false, login);
  }
});

test("credentials and wrapped keys are out of reach of whoever does not need them", async () => {
  for (const table of ["auth_keys", "auth_key_packs", "inbound_journal"]) {
    for (const role of ["app", "platform", "relay"] as const) {
      assert.equal(await can(loginOf(role), table, "select"), false, `${role} ${table}`);
    }
  }
  for (const db of [world.app, world.platform]) {
    await assert.rejects(sql`select value from auth_creds`.execute(db), /permission denied/);
    await assert.rejects(sql`select private_key from flow_keys`.execute(db), /permission denied/);
    await assert.rejects(sql`select source from media`.execute(db), /permission denied/);
  }
  await assert.rejects(
    sql`select token_hash from api_tokens`.execute(world.app),
    /permission denied/,
  );
});
