import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Database,
  fencedTransaction,
  housekeeping,
  noteHandshake,
  noteTokenEnd,
  readMetaTraffic,
  readPortfolio,
  readUsage,
  setMetaFacts,
  withCompany,
} from "../src/index.ts";
import {
  addMetaNumber,
  entryOf,
  ingest,
  type MetaLine,
  someId,
  textMessage,
  webhookOf,
} from "./meta-support.ts";
import { openWorld, type World } from "./support.ts";

let world: World;
let db: Database;
before(async () => {
  world = await openWorld();
  db = world.open("ingest");
});
after(() => world[Symbol.asyncDispose]());

const MARKETING = {
  billable: true,
  pricing_model: "PMP",
  type: "regular",
  category: "marketing",
};
const SERVICE = {
  billable: false,
  pricing_model: "PMP",
  type: "free_customer_service",
  category: "service",
};
const AT = String(Date.UTC(2026, 10, 20, 12) / 1_000);
const status = (
  id: string,
  word: string,
  pricing: object | undefined,
  more: object = {},
): object => ({
  id,
  status: word,
  timestamp: AT,
  recipient_id: "15550100019",
  ...(pricing ? { pricing } : {}),
  ...more,
});
const tell = (line: MetaLine, ...statuses: object[]) =>
  ingest(world, db, webhookOf([entryOf(line, { statuses })]));
const placeOf = ({ company, number }: MetaLine) => ({
  companyNo: company.companyNo,
  numberNo: number.numberNo,
});
const usageOf = async (line: MetaLine) => {
  const place = placeOf(line);
  const rows = await withCompany(world.app, place.companyNo, (tx) =>
    readUsage(tx, place, "2026-11-01", "2026-11-30"),
  );
  return rows.map((one) => [one.day, one.category, one.isBillable, one.priced, one.delivered]);
};
const fenceOf = (line: MetaLine) => ({ ...placeOf(line), epoch: 0 });

test("a message counts once, however often, in whatever order and how its statuses come", async () => {
  const line = await addMetaNumber(world);
  await tell(line, status("a", "sent", MARKETING), status("b", "read", SERVICE));
  await tell(line, status("a", "sent", MARKETING), status("b", "sent", SERVICE));
  assert.deepEqual(await usageOf(line), [
    ["2026-11-20", "marketing", true, 1, 0],
    ["2026-11-20", "service", false, 1, 1],
  ]);
  for (let time = 0; time < 3; time += 1) {
    await tell(
      line,
      status("a", "read", MARKETING),
      status("a", "delivered", MARKETING),
      status("b", "delivered", SERVICE),
      status("c", "failed", undefined),
    );
  }
  await Promise.all(
    Array.from({ length: 6 }, () => tell(line, status("d", "delivered", MARKETING))),
  );
  assert.deepEqual(await usageOf(line), [
    ["2026-11-20", "marketing", true, 2, 2],
    ["2026-11-20", "service", false, 1, 1],
  ]);
});

test("one webhook for two companies counts for each its own, and nobody sees the other's", async () => {
  const [one, other] = [await addMetaNumber(world), await addMetaNumber(world)];
  await ingest(
    world,
    db,
    webhookOf([
      entryOf(one, { statuses: [status("x", "delivered", MARKETING)] }),
      entryOf(other, {
        statuses: [status("x", "delivered", MARKETING), status("y", "delivered", MARKETING)],
      }),
    ]),
  );
  assert.deepEqual(await usageOf(one), [["2026-11-20", "marketing", true, 1, 1]]);
  assert.deepEqual(await usageOf(other), [["2026-11-20", "marketing", true, 2, 2]]);
  const foreign = await withCompany(world.app, one.company.companyNo, (tx) =>
    readUsage(tx, placeOf(other), "2026-11-01", "2026-11-30"),
  );
  assert.deepEqual(foreign, []);
});

test("people count once for all numbers of a portfolio, over companies", async () => {
  const lines = [await addMetaNumber(world), await addMetaNumber(world)];
  const [one, other] = lines;
  assert.ok(one && other);
  const portfolioId = someId();
  for (const line of lines) {
    await fencedTransaction(world.worker, fenceOf(line), (tx) =>
      setMetaFacts(tx, fenceOf(line), { portfolioId, messagingLimit: "TIER_2K" }),
    );
  }
  const to = (userId: string) => ({ recipient_user_id: userId });
  await tell(
    one,
    status("p1", "sent", MARKETING, to("US.1")),
    status("p2", "sent", MARKETING, to("US.2")),
    status("p3", "sent", SERVICE, to("US.3")),
  );
  await tell(other, status("p4", "sent", MARKETING, to("US.1")));
  await tell(other, status("p5", "sent", MARKETING, to("US.4")));
  const read = () =>
    withCompany(world.app, one.company.companyNo, (tx) => readPortfolio(tx, placeOf(one)));
  assert.deepEqual(await read(), { id: portfolioId, limit: "TIER_2K", people: 3 });
  await world.superuser.query(
    "update portfolio_people set at = at - interval '25 hours' where portfolio_id = $1",
    [portfolioId],
  );
  await tell(other, status("p6", "sent", MARKETING, to("US.4")));
  assert.equal((await read())?.people, 1);
});

test("what was kept long enough goes, and what is young stays", async () => {
  const line = await addMetaNumber(world);
  await tell(line, status("old", "delivered", MARKETING));
  await noteHandshake(db, "gone");
  const place = [line.number.numberNo];
  assert.equal((await housekeeping(world.worker))["usageDeleted"], 0);
  await world.superuser.query(
    "update number_usage set day = current_date - 401 where number_no = $1",
    place,
  );
  await world.superuser.query(
    "update priced_messages set at = at - interval '41 days' where number_no = $1",
    place,
  );
  await world.superuser.query(
    "update webhook_handshakes set at = at - interval '401 days' where path = 'gone'",
  );
  assert.equal((await housekeeping(world.worker))["usageDeleted"], 3);
  assert.deepEqual(await usageOf(line), []);
});

test("the end of a token is told once per threshold, and again of another token", async () => {
  const line = await addMetaNumber(world);
  const note = (at: string, days: number) =>
    fencedTransaction(world.worker, fenceOf(line), (tx) =>
      noteTokenEnd(tx, fenceOf(line), { at: new Date(at), days }),
    );
  const told: boolean[] = [];
  for (const [at, days] of [
    ["2027-01-01", 30],
    ["2027-01-01", 30],
    ["2027-01-01", 7],
    ["2027-01-01", 14],
    ["2027-03-01", 30],
  ] as const) {
    told.push(await note(at, days));
  }
  assert.deepEqual(told, [true, false, true, false, true]);
});

test("what came of a number is known: the proof of the address, and the latest webhook", async () => {
  const line = await addMetaNumber(world);
  const { companyNo, numberNo } = placeOf(line);
  const read = () => readMetaTraffic(world.worker, companyNo, numberNo);
  assert.equal((await read()).webhookAt, null);
  await noteHandshake(db, "");
  await ingest(world, db, webhookOf([entryOf(line, { messages: [textMessage()] })]));
  const { ownAppSince, handshakeAt, webhookAt } = await read();
  assert.equal(ownAppSince, null);
  assert.ok(handshakeAt instanceof Date && webhookAt instanceof Date);
});
