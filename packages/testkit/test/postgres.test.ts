import assert from "node:assert/strict";
import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Client } from "pg";
import type { PostgresServer, TestDatabaseOptions } from "../src/index.ts";
import {
  childPids,
  findSystemPostgres,
  isAlive,
  PortInUseError,
  startNats,
  startPostgres,
  testDatabase,
  until,
} from "../src/index.ts";

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {}); // the server is killed below
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe("postgres", () => {
  let server: PostgresServer;
  before(async () => {
    server = await startPostgres();
  });
  after(() => server[Symbol.asyncDispose]());

  test("is version 18, and the owner may create roles without being a superuser", async () => {
    const [row] = await query(
      server.url,
      `select current_setting('server_version_num')::int / 10000 as version,
         rolsuper, rolcreaterole from pg_roles where rolname = current_user`,
    );
    assert.deepEqual(row, { version: 18, rolsuper: false, rolcreaterole: true });
  });

  test("keeps what was committed when it is killed and started again", async () => {
    await query(server.url, "create table kept (value int)");
    const open = new Client({ connectionString: server.url });
    const broken = new Promise((resolve) => open.on("error", resolve));
    await open.connect();
    await open.query("insert into kept values (42)");
    const pid = server.pid;
    assert.ok(pid !== null);
    const pids = [pid, ...childPids(pid)];
    assert.ok(pids.length > 1);
    const port = server.port;

    await server.kill("SIGKILL");
    await broken;
    await until(() => pids.every((id) => !isAlive(id)), { label: "end of every process" });
    assert.equal(server.pid, null);
    await server.start();

    assert.equal(server.port, port);
    assert.deepEqual(await query(server.url, "select value from kept"), [{ value: 42 }]);
  });

  test("starts although another process has the id in its left-over postmaster.pid", async () => {
    await server.kill("SIGKILL");
    await writeFile(join(server.dir, "postmaster.pid"), `${process.pid}\n${server.dir}\n`);
    await server.start();
    assert.deepEqual(await query(server.url, "select 1 as one"), [{ one: 1 }]);
  });

  test("answers nothing while frozen, and goes on when thawed", async () => {
    await server.kill("SIGSTOP");
    const answer = query(server.url, "select 1 as one");
    const early = await Promise.race([
      answer,
      new Promise((resolve) => setTimeout(resolve, 200, "nothing")),
    ]);
    assert.equal(early, "nothing");
    await server.kill("SIGCONT");
    assert.deepEqual(await answer, [{ one: 1 }]);
  });

  test("a database is a copy of its template, walled off from its siblings", async () => {
    let migrations = 0;
    const options: TestDatabaseOptions = {
      key: "testkit",
      server,
      migrate: async (url) => {
        migrations += 1;
        await query(url, "create table things (name text)");
      },
    };
    const [first, second] = await Promise.all([testDatabase(options), testDatabase(options)]);
    await query(first.url, "insert into things values ('mine')");
    assert.deepEqual(await query(first.url, "select name from things"), [{ name: "mine" }]);
    assert.deepEqual(await query(second.url, "select name from things"), []);
    assert.equal(migrations, 1);
    await first[Symbol.asyncDispose]();
    await second[Symbol.asyncDispose]();
    await assert.rejects(query(first.url, "select 1"), /does not exist/);
  });

  test("a migration that fails leaves no half template behind", async () => {
    const failing = testDatabase({
      key: "testkit-failing",
      server,
      migrate: async (url) => {
        await query(url, "create table half (name text)");
        throw new Error("broken migration");
      },
    });
    await assert.rejects(failing, /broken migration/);
    await using database = await testDatabase({
      key: "testkit-failing",
      server,
      migrate: async (url) => void (await query(url, "create table whole (name text)")),
    });
    assert.deepEqual(await query(database.url, "select * from whole"), []);
    await assert.rejects(query(database.url, "select * from half"), /does not exist/);
  });

  test("a taken port is named", async () => {
    await using other = await startNats();
    await assert.rejects(startPostgres({ port: other.port }), PortInUseError);
  });
});

test("data in a folder that only its owner can enter is put where Postgres can reach it", async () => {
  const home = await mkdtemp(join(tmpdir(), "manyline-home-"));
  await chmod(home, 0o700);
  const wanted = join(home, "clone", ".data", "postgres");
  try {
    const server = await startPostgres({ dir: wanted });
    try {
      const isRoot = process.getuid?.() === 0;
      assert.equal(server.dir === wanted, !isRoot);
      await query(server.url, "create table kept (value int)");
      await server.stop();
      await using again = await startPostgres({ dir: wanted });
      assert.deepEqual(await query(again.url, "select * from kept"), []);
    } finally {
      await server[Symbol.asyncDispose]();
      if (server.dir !== wanted) await rm(dirname(server.dir), { recursive: true });
    }
  } finally {
    await rm(home, { recursive: true });
  }
});

test("an older Postgres of the system runs as well", async () => {
  const system = findSystemPostgres();
  assert.ok(system !== undefined, "npm test installs one");
  await using server = await startPostgres({ binDir: system.binDir });
  const [row] = await query(
    server.url,
    "select current_setting('server_version_num')::int / 10000 as version",
  );
  assert.deepEqual(row, { version: system.version });
});
