/** The lease keeper with a real Postgres that goes away for longer than its patience. */
import assert from "node:assert/strict";
import { after, before, it } from "node:test";
import { createCompany, inTransaction, openDatabase } from "@manyline/db";
import { openTestDatabase, type OpenTestDatabase } from "@manyline/db/testing";
import { createBus, createClock, createSilentLogger } from "@manyline/runtime";
import {
  startNats,
  startPostgres,
  until,
  type NatsServer,
  type PostgresServer,
} from "@manyline/testkit";
import { LeaseKeeper } from "../src/ownership/lease-keeper.ts";
import { createLeaseStore } from "../src/ownership/lease-store.ts";

/** Everything ten times shorter than in life. */
const FIGURES = {
  ttlMs: 1_000,
  renewMs: 250,
  tickMs: 100,
  marginMs: 300,
  closeAfterMs: 600,
  checkMs: 20,
};
const IDENTITY = { host: "host", version: "test", generation: 0, capacity: 10 };
let postgres: PostgresServer;
let nats: NatsServer;
let database: OpenTestDatabase;
before(async () => {
  [postgres, nats] = await Promise.all([startPostgres(), startNats()]);
  database = await openTestDatabase({ server: postgres });
});
after(async () => {
  await database.stop();
  await Promise.all([postgres.stop(), nats.stop()]);
});

it("after a long silence it lets go, gives back, and takes again with a higher epoch", async () => {
  const platform = openDatabase({ url: database.urls.platform, applicationName: "test" });
  await inTransaction(platform, (tx) =>
    createCompany(tx, database.keyring, {
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
    }),
  );
  const db = openDatabase({
    url: database.urls.worker,
    applicationName: "test",
    poolSize: 1,
    statementTimeoutMs: 500,
    connectTimeoutMs: 300,
  });
  const bus = createBus({ servers: [nats.url], name: "test", logger: createSilentLogger() });
  const seen: string[] = [];
  const keeper = new LeaseKeeper({
    store: createLeaseStore(db, IDENTITY, FIGURES.ttlMs),
    bus,
    clock: createClock(),
    logger: createSilentLogger(),
    newWorkerId: () => "w1",
    figures: FIGURES,
    report: () => ({ numbers: 0, connected: 0, opening: 0, waiting: 0 }),
    weights: () => new Map(),
    events: {
      onClaimed: (shardId, epoch) => seen.push(`claimed ${shardId} at ${epoch}`),
      onLost: (shardId) => seen.push(`lost ${shardId}`),
      onQuiet: (isQuiet) => seen.push(isQuiet ? "quiet" : "heard"),
      onSilence: () => seen.push("silence"),
      onSurplus: () => seen.push("surplus"),
      onWish: () => seen.push("wish"),
      onDrainAsked: () => seen.push("drain asked"),
      onDrainOver: () => seen.push("drain over"),
    },
  });
  keeper.start();
  await until(() => seen.includes("claimed 1 at 1"), { label: "the claim" });
  await postgres.stop();
  await until(() => seen.includes("silence"), { label: "silence" });
  assert.equal(keeper.isQuiet, true);
  assert.equal(keeper.shards.size, 0);
  await postgres.start();
  await until(() => seen.includes("claimed 1 at 2"), { label: "the second claim" });
  assert.deepEqual([...keeper.shards], [[1, 2]]);
  assert.equal(keeper.isQuiet, false);
  await keeper.stop();
  await Promise.all([bus.close(), db.stop(), platform.stop()]);
});
