import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import {
  type PostgresServer,
  requireSystemPostgres,
  startPostgres,
  until,
} from "@manyline/testkit";
import { Kysely, PostgresDialect, sql } from "kysely";
import { Migrator } from "kysely/migration";
import { Client, Pool } from "pg";
import {
  assertSchema,
  type Database,
  isUnavailable,
  migrate,
  openDatabase,
  roleUrl,
  SCHEMA_VERSION,
  schemaVersion,
  SchemaVersionError,
} from "../src/index.ts";
import { migrations } from "../src/migrations/index.ts";
import { addCompany, addNumber, openWorld, ownedNumber } from "./support.ts";

const run = promisify(execFile);
const PASSWORDS = {
  app: "pw-app",
  platform: "pw-platform",
  worker: "pw-worker",
  ingest: "pw-ingest",
  notify: "pw-notify",
  relay: "pw-relay",
};

let server: PostgresServer;
before(async () => {
  server = await startPostgres();
});
after(() => server[Symbol.asyncDispose]());

/** An empty database on our own server, whose logins other tests do not share. */
async function emptyDatabase(name: string): Promise<string> {
  const client = new Client({ connectionString: server.superuserUrl });
  await client.connect();
  try {
    await client.query(`create database ${name} owner manyline_owner`);
  } finally {
    await client.end();
  }
  return server.urlFor(name);
}

async function canLogIn(url: string): Promise<boolean> {
  const client = new Client({ connectionString: url });
  try {
    await client.connect();
    await client.query("select count(*) from companies");
    return true;
  } catch (error) {
    assert.match(String(error), /password authentication failed/);
    return false;
  } finally {
    await client.end();
  }
}

function open(url: string): Database {
  return openDatabase({ url, applicationName: "test", poolSize: 1 });
}

describe("migrations", () => {
  test("an owner who is no superuser can run them; running again does nothing", async () => {
    const ownerUrl = await emptyDatabase("m_first");
    assert.deepEqual(await migrate({ ownerUrl, passwords: PASSWORDS }), Object.keys(migrations));
    assert.deepEqual(await migrate({ ownerUrl, passwords: PASSWORDS }), []);
    await using app = open(roleUrl(ownerUrl, "app", PASSWORDS.app));
    assert.equal(await schemaVersion(app), SCHEMA_VERSION);
    await assertSchema(app);
  });

  test("runners at the same time do not clash, on one database or on several", async () => {
    const urls = await Promise.all(["m_a", "m_b", "m_c"].map(emptyDatabase));
    const ran = await Promise.all(
      [...urls, ...urls].map((ownerUrl) => migrate({ ownerUrl, passwords: PASSWORDS })),
    );
    const counts = ran.map(({ length }) => length).toSorted((a, b) => a - b);
    const all = Object.keys(migrations).length;
    assert.deepEqual(counts, [0, 0, 0, all, all, all]);
  });

  test("other passwords are applied by running again", async () => {
    const ownerUrl = await emptyDatabase("m_passwords");
    await migrate({ ownerUrl, passwords: PASSWORDS });
    const changed = { ...PASSWORDS, app: "changed:p@ss/word" };
    await migrate({ ownerUrl, passwords: changed });
    assert.equal(await canLogIn(roleUrl(ownerUrl, "app", PASSWORDS.app)), false);
    assert.equal(await canLogIn(roleUrl(ownerUrl, "app", changed.app)), true);
    assert.equal(await canLogIn(roleUrl(ownerUrl, "worker", PASSWORDS.worker)), true);
    await migrate({ ownerUrl, passwords: PASSWORDS });
  });

  test("the command runs them from its environment, and names what is missing", async () => {
    const ownerUrl = await emptyDatabase("m_command");
    const main = new URL("../src/migrate-main.ts", import.meta.url).pathname;
    const call = (env: Record<string, string>) => run(process.execPath, [main], { env });
    const passwords = JSON.stringify(PASSWORDS);
    const env = { DATABASE_OWNER_URL: ownerUrl, MANYLINE_DB_PASSWORDS: passwords };
    const { stdout } = await call(env);
    assert.match(stdout, new RegExp(SCHEMA_VERSION));
    for (const secret of Object.values(PASSWORDS)) assert.ok(!stdout.includes(secret));
    await assert.rejects(
      call({ ...env, MANYLINE_DB_PASSWORDS: '{"app":"x"}' }),
      /"platform" is missing/,
    );
    await assert.rejects(
      call({ MANYLINE_DB_PASSWORDS: passwords }),
      /DATABASE_OWNER_URL is missing/,
    );
  });

  test("statuses of a running fleet keep their word, and workers of the release before are stamped", async () => {
    await migrate({ ownerUrl: await emptyDatabase("m_logins"), passwords: PASSWORDS });
    const ownerUrl = await emptyDatabase("m_epochs");
    const older = Object.entries(migrations).filter(([name]) => name < "20261121-0750");
    const dialect = new PostgresDialect({ pool: new Pool({ connectionString: ownerUrl, max: 2 }) });
    const old = new Kysely<unknown>({ dialect });
    const getMigrations = async () => Object.fromEntries(older);
    const { error } = await new Migrator({
      db: old,
      provider: { getMigrations },
    }).migrateToLatest();
    await old.destroy();
    assert.equal(error, undefined);
    const url = new URL(server.superuserUrl);
    url.pathname = "/m_epochs";
    const client = new Client({ connectionString: url.href });
    await client.connect();
    try {
      await client.query(`
        insert into shards (shard_id, lo, hi) values (1, 1, 65), (2, 65, 129);
        insert into shard_leases (shard_id, owner, epoch, expires_at)
          values (1, 'w', 7, now() + interval '1 min'), (2, null, 7, null);
        insert into companies (company_no, company_id, shard_id, name) values (1, 'a', 1, 'A'), (65, 'b', 2, 'B');
        insert into numbers (company_no, number_id, provider, status) values
          (1, 'num_1', 'linked', 'connected'), (1, 'num_2', 'linked', 'disconnected'),
          (65, 'num_3', 'linked', 'connected');
        insert into number_fence select company_no, number_no, 7 from numbers`);
      await migrate({ ownerUrl, passwords: PASSWORDS });
      const epochs = async () => {
        const { rows } = await client.query<{ epoch: string }>(
          "select status_epoch as epoch from numbers order by number_no",
        );
        return rows.map(({ epoch }) => Number(epoch));
      };
      assert.deepEqual(await epochs(), [7, 0, 0]);
      const { rows } = await client.query<{ forced: boolean }>(
        "select relforcerowsecurity as forced from pg_class where relname = 'numbers'",
      );
      assert.equal(rows[0]?.forced, true);
      // As a worker that knows no such column.
      await using worker = open(roleUrl(ownerUrl, "worker", PASSWORDS.worker));
      await worker.transaction().execute(async (tx) => {
        await sql`select hold_fence(1, number_no, 7) from numbers where number_id = 'num_2'`.execute(
          tx,
        );
        await sql`update numbers set status = 'connected' where number_id = 'num_2'`.execute(tx);
      });
      assert.deepEqual(await epochs(), [7, 7, 0]);
    } finally {
      await client.end();
    }
  });

  test("a service finds out that the schema is missing or old", async () => {
    const ownerUrl = await emptyDatabase("m_old");
    await using owner = open(ownerUrl);
    assert.equal(await schemaVersion(owner), undefined);
    await assert.rejects(assertSchema(owner), SchemaVersionError);
    await migrate({ ownerUrl, passwords: PASSWORDS });
    await assertSchema(owner);
    const client = new Client({ connectionString: ownerUrl });
    await client.connect();
    await client.query("delete from kysely_migration where name = $1", [SCHEMA_VERSION]);
    await assert.rejects(assertSchema(owner), /this build needs/);
    await client.query("insert into kysely_migration values ('29990101-0000-newer', '')");
    await assertSchema(owner);
    await client.end();
  });
});

describe("the Postgres of the system, 15 where there is one", () => {
  test("it takes the same schema and works the same", async (t) => {
    const { binDir } = await requireSystemPostgres();
    await using old = await startPostgres({ binDir });
    await using world = await openWorld({ server: old });
    const { rows } = await world.superuser.query<{ server_version: string }>("show server_version");
    t.diagnostic(`Postgres ${rows[0]?.server_version}`);
    const { fence } = await ownedNumber(world);
    assert.ok(fence.epoch > 0);
    const { companyNo } = await addCompany(world);
    assert.equal((await addNumber(world, companyNo)).isPrimary, true);
  });
});

describe("a Postgres that is away", () => {
  test("opening does not fail; asking does, in a way that is told apart", async () => {
    await using own = await startPostgres();
    await using db = openDatabase({
      url: own.url,
      applicationName: "test",
      poolSize: 2,
      connectTimeoutMs: 1_000,
    });
    await db.ping();
    await own.kill("SIGKILL");
    await assert.rejects(db.ping(), isUnavailable);
    await assert.rejects(db.ping(), isUnavailable);
    await own.start();
    await until(async () => {
      await db.ping();
      return true;
    });
    await using slow = openDatabase({
      url: own.url,
      applicationName: "test",
      poolSize: 1,
      statementTimeoutMs: 50,
    });
    await assert.rejects(sql`select pg_sleep(5)`.execute(slow), isUnavailable);
  });
});
