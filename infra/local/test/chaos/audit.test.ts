/** The audit itself: that it finds a stale write, in every way in which a fence can be missing. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { openTestDatabase, type OpenTestDatabase } from "@manyline/db/testing";
import {
  createCompany,
  createNumber,
  fencedTransaction,
  inTransaction,
  openDatabase,
  setNumberStatuses,
  type Database,
  type NumberRow,
} from "@manyline/db";
import { newNumberId } from "@manyline/contracts";
import { startPostgres, type PostgresServer } from "@manyline/testkit";
import { Client } from "pg";
import { AUDIT_SETTINGS, installAudit, type WriteAudit } from "./write-audit.ts";

let postgres: PostgresServer;
let database: OpenTestDatabase;
let audit: WriteAudit;
let number: NumberRow;
const open: (Client | Database)[] = [];

before(async () => {
  postgres = await startPostgres({ settings: AUDIT_SETTINGS });
  database = await openTestDatabase({ server: postgres });
  const platform = openDatabase({ url: database.urls.platform, applicationName: "test" });
  number = await inTransaction(platform, async (tx) => {
    const company = await createCompany(tx, database.keyring, {
      companyId: "one",
      name: "One",
      country: null,
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "UTC",
      language: "en",
      whatsappEnabled: true,
      whatsappConfig: {},
    });
    const input = { numberId: newNumberId(), phone: null, name: null, maxNumbers: 1 };
    return createNumber(tx, company.companyNo, { ...input, provider: "linked" });
  });
  await platform.stop();
  audit = await installAudit(database);
});
after(async () => {
  await Promise.all(open.map((one) => (one instanceof Client ? one.end() : one.stop())));
  await audit[Symbol.asyncDispose]();
  await database.stop();
  await postgres[Symbol.asyncDispose]();
});

/** A process of this label, with the rights of a worker. */
function worker(label: string): Database {
  const db = openDatabase({ url: database.urls.worker, applicationName: label });
  open.push(db);
  return db;
}

/** The same with a superuser's rights, whom no fence and no row security stops. */
async function superuser(label: string): Promise<Client> {
  const client = new Client({
    connectionString: database.superuserUrl,
    application_name: label,
  });
  await client.connect();
  open.push(client);
  return client;
}

/** `label` takes the number's shard over: another epoch of the lease, then of the fence. */
async function takeOver(label: string): Promise<number> {
  const client = await superuser(label);
  const { rows } = await client.query<{ epoch: number }>(
    `update shard_leases set owner = $1, epoch = epoch + 1, expires_at = now() + interval '1 hour'
      returning epoch::int`,
    [label],
  );
  const epoch = rows[0]?.epoch ?? 0;
  await client.query("update number_fence set epoch = $1", [epoch]);
  return epoch;
}

async function writeStatus(db: Database, epoch: number): Promise<void> {
  const fence = { companyNo: number.companyNo, numberNo: number.numberNo, epoch };
  const change = { status: "connecting", reason: "opening", since: new Date() } as const;
  await fencedTransaction(db, fence, (tx) => setNumberStatuses(tx, [{ fence, ...change }]));
}

const HOLD = `select set_config('app.held_companies', $1, true), set_config('app.held_numbers', $2, true),
  set_config('app.held_epochs', $3, true)`;

/** What a worker without a fence would do: it says that it holds the number, and writes. */
async function bypass(client: Client, epoch: number, beforeCommit?: () => Promise<unknown>) {
  await client.query("begin");
  await client.query(HOLD, [`{${number.companyNo}}`, `{${number.numberNo}}`, `{${epoch}}`]);
  await client.query("update numbers set since = now()");
  await beforeCommit?.();
  await client.query("commit");
}

const reasons = async (): Promise<string[]> =>
  (await audit.staleWrites(0)).map(({ label, why }) => `${label} ${why}`);

test("an owner's fenced writes are no stale writes, and the fence refuses the former owner's", async () => {
  const first = await takeOver("a");
  await writeStatus(worker("a"), first);
  const second = await takeOver("b");
  await writeStatus(worker("b"), second);
  await assert.rejects(writeStatus(worker("a"), first), { name: "FencedError" });
  assert.equal(await audit.countWrites(), 2);
  assert.deepEqual(await reasons(), []);
});

test("a write of the former owner that was let through is found", async () => {
  const epoch = await takeOver("c");
  await takeOver("d");
  await bypass(await superuser("c"), epoch);
  assert.deepEqual(await reasons(), ["c raised"]);
});

test("so is one that was begun in time and committed after the take-over", async () => {
  const epoch = await takeOver("e");
  await bypass(await superuser("e"), epoch, () => takeOver("f"));
  assert.deepEqual(await reasons(), ["c raised", "e raised"]);
});

test("so are one under an epoch that somebody else owned, and one under none", async () => {
  const epoch = await takeOver("g");
  await bypass(await superuser("h"), epoch);
  const client = await superuser("g");
  await client.query("update numbers set since = now()");
  assert.deepEqual(await reasons(), ["c raised", "e raised", "h foreign", "g unfenced"]);
});
