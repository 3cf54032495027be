/** A Postgres that hangs and goes on later, as behind a partition: what was told as done is done. */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { test } from "node:test";
import { startPostgres, until } from "@manyline/testkit";
import { Client } from "pg";
import { inTransaction, isUnavailable, openDatabase, registerWorker } from "../src/index.ts";
import { openTestDatabase } from "../src/testing.ts";
import { IDLE_IN_TRANSACTION_MS } from "../src/roles.ts";

test("a transaction that was given up while Postgres hung does not swallow what is written after it", async () => {
  await using postgres = await startPostgres();
  await using database = await openTestDatabase({ server: postgres });
  await using db = openDatabase({
    url: database.urls.worker,
    applicationName: "hanging",
    poolSize: 1,
    statementTimeoutMs: 300,
  });
  const superuser = new Client({ connectionString: database.superuserUrl });
  await superuser.connect();
  try {
    await db.ping();
    await postgres.kill("SIGSTOP");
    await assert.rejects(
      inTransaction(db, async () => undefined),
      isUnavailable,
    );
    await postgres.kill("SIGCONT");
    await until(
      () => registerWorker(db, { workerId: "told", generation: 1, capacity: 1 }).then(() => true),
      { label: "Postgres is back" },
    );
    // Whatever was left open is ended by Postgres within this time, and undone.
    await delay(IDLE_IN_TRANSACTION_MS.worker + 1_000);
    const { rows } = await superuser.query("select worker_id from workers");
    assert.deepEqual(rows, [{ worker_id: "told" }]);
    const open = await superuser.query(
      "select 1 from pg_stat_activity where application_name = 'hanging' and state like 'idle in%'",
    );
    assert.equal(open.rowCount, 0);
  } finally {
    await superuser.end();
  }
});
