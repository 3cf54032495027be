/** Rows and connections that several test files need. */
import { randomBytes } from "node:crypto";
import { newNumberId, type Provider } from "@manyline/contracts";
import { Client } from "pg";
import {
  claimShards,
  createCompany,
  createNumber,
  type CompanyRow,
  type Database,
  type DbRole,
  type Fence,
  inTransaction,
  type NumberRow,
  openDatabase,
  raiseFences,
  registerWorker,
} from "../src/index.ts";
import { openTestDatabase, type OpenTestDatabase } from "../src/testing.ts";

export type World = AsyncDisposable & {
  test: OpenTestDatabase;
  app: Database;
  platform: Database;
  worker: Database;
  relay: Database;
  /** Sees through row security: for looking, and for making time pass. */
  superuser: Client;
  /** One more pool, closed with the others. */
  open: (role: DbRole, poolSize?: number) => Database;
};

/** A fresh database with a pool for each role. */
export async function openWorld(
  options: Parameters<typeof openTestDatabase>[0] = {},
): Promise<World> {
  const test = await openTestDatabase(options);
  const pools: Database[] = [];
  const open = (role: DbRole, poolSize = 5): Database => {
    const db = openDatabase({ url: test.urls[role], role, applicationName: "test", poolSize });
    pools.push(db);
    return db;
  };
  const superuser = new Client({ connectionString: test.superuserUrl });
  await superuser.connect();
  return {
    test,
    app: open("app"),
    platform: open("platform"),
    worker: open("worker"),
    relay: open("relay"),
    superuser,
    open,
    [Symbol.asyncDispose]: async () => {
      await Promise.all(pools.map((db) => db.stop()));
      await superuser.end();
      await test.stop();
    },
  };
}

export async function addCompany(
  world: World,
  companyId: string = randomBytes(6).toString("hex"),
): Promise<CompanyRow> {
  return inTransaction(world.platform, (tx) =>
    createCompany(tx, world.test.keyring, {
      companyId,
      name: `Salon ${companyId}`,
      country: "RU",
      phone: null,
      adminEmail: null,
      notificationEmail: null,
      timezone: "Europe/Moscow",
      language: "ru",
      whatsappEnabled: true,
      whatsappConfig: {},
    }),
  );
}

export async function addNumber(
  world: World,
  companyNo: number,
  more: { phone?: string; makePrimary?: boolean; numberId?: string; provider?: Provider } = {},
): Promise<NumberRow> {
  return inTransaction(world.platform, (tx) =>
    createNumber(tx, companyNo, {
      numberId: more.numberId ?? newNumberId(),
      provider: more.provider ?? "linked",
      name: null,
      phone: more.phone ?? null,
      makePrimary: more.makePrimary,
      maxNumbers: 500,
    }),
  );
}

/** Registers a worker that takes every free shard and raises its fences. */
export async function takeAll(
  world: World,
  workerId: string,
  options: { mayTakeExpired?: boolean; ttlMs?: number; generation?: number } = {},
): Promise<{ shardId: number; epoch: number }[]> {
  const { mayTakeExpired = false, ttlMs = 10_000, generation = 1 } = options;
  await registerWorker(world.worker, { workerId, generation, capacity: 1 });
  const shards = await claimShards(world.worker, workerId, { limit: 1_000, ttlMs, mayTakeExpired });
  for (const { shardId, epoch } of shards) await raiseFences(world.worker, shardId, epoch);
  return shards;
}

/** A company with one number that worker `w1` owns. */
export async function ownedNumber(
  world: World,
): Promise<{ company: CompanyRow; number: NumberRow; fence: Fence }> {
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo);
  await takeAll(world, "w1");
  const { rows } = await world.superuser.query<{ epoch: string }>(
    `update number_fence f set epoch = l.epoch from companies c, shard_leases l
      where c.company_no = f.company_no and l.shard_id = c.shard_id and f.number_no = $1
      returning f.epoch`,
    [number.numberNo],
  );
  const fence = {
    companyNo: company.companyNo,
    numberNo: number.numberNo,
    epoch: Number(rows[0]?.epoch),
  };
  return { company, number, fence };
}
