import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newAttemptId } from "@manyline/contracts";
import {
  adoptNumbers,
  changedNumbers,
  fencedTransaction,
  getOwnedNumber,
  inTransaction,
  insertAttempt,
  listOwnedNumbers,
  ownedNumberNos,
  raiseFences,
  removeNumber,
  updateCompany,
  updateNumber,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, ownedNumber, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const isOwned = async (numberNo: number) =>
  (await ownedNumberNos(world.worker, "a")).some((one) => one.numberNo === numberNo);

test("the owner adopts new numbers, sees changed ones and misses removed ones", async () => {
  await addCompany(world);
  const shards = await takeAll(world, "a");
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo, { phone: "79001234567" });
  const [adopted] = await adoptNumbers(world.worker, "a");
  assert.equal(adopted?.numberNo, number.numberNo);
  assert.equal(adopted?.companyId, company.companyId);
  const lease = shards.find(({ shardId }) => shardId === adopted?.shardId);
  assert.equal(adopted?.epoch, lease?.epoch);
  assert.equal(adopted?.phone, "79001234567");
  assert.equal(adopted?.hasLiveAttempt, false);
  assert.equal(adopted?.statusEpoch, 0, "no owner has said anything yet");
  assert.deepEqual(await adoptNumbers(world.worker, "a"), []);
  assert.deepEqual(await adoptNumbers(world.worker, "b"), []);

  const owned = await listOwnedNumbers(world.worker, "a", adopted?.shardId ?? 0);
  assert.deepEqual(
    owned.map(({ numberNo }) => numberNo),
    [number.numberNo],
  );

  const later = new Date(Date.now() + 60_000);
  assert.deepEqual(await changedNumbers(world.worker, "a", later), []);
  const cursor = adopted?.updatedAt ?? later;
  await inTransaction(world.platform, (tx) =>
    updateNumber(tx, company.companyNo, number.numberNo, { desiredState: "disconnected" }),
  );
  const [changed] = await changedNumbers(world.worker, "a", cursor);
  assert.equal(changed?.desiredState, "disconnected");
  assert.deepEqual(await changedNumbers(world.worker, "b", cursor), []);
  await updateCompany(world.platform, company.companyNo, { whatsappEnabled: false });
  await world.superuser.query("update numbers set updated_at = now() - interval '1 h'");
  const [again] = await changedNumbers(world.worker, "a", changed?.updatedAt ?? later);
  assert.equal(again?.companyEnabled, false);

  assert.equal(await isOwned(number.numberNo), true);
  await inTransaction(world.platform, (tx) => removeNumber(tx, company.companyNo, number.numberNo));
  assert.equal(await isOwned(number.numberNo), false);
});

test("a live attempt that somebody left behind is seen", async () => {
  const { fence } = await ownedNumber(world);
  await fencedTransaction(world.worker, fence, (tx) =>
    insertAttempt(tx, fence, {
      attemptId: newAttemptId(),
      method: "qr",
      state: "starting",
      phone: null,
      max: 3,
    }),
  );
  const owner = await world.superuser.query<{ owner: string }>(
    "select l.owner from companies c join shard_leases l using (shard_id) where company_no = $1",
    [fence.companyNo],
  );
  const number = await getOwnedNumber(world.worker, owner.rows[0]?.owner ?? "", fence.numberNo);
  assert.equal(number?.hasLiveAttempt, true);
});

test("a former owner cannot lower a fence", async () => {
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo);
  await world.superuser.query("update number_fence set epoch = 40 where number_no = $1", [
    number.numberNo,
  ]);
  await raiseFences(world.worker, number.shardId, 39);
  const { rows } = await world.superuser.query<{ epoch: string }>(
    "select epoch from number_fence where number_no = $1",
    [number.numberNo],
  );
  assert.equal(rows[0]?.epoch, "40");
  // Nor can anybody else.
  await assert.rejects(
    world.superuser.query("update number_fence set epoch = 39 where number_no = $1", [
      number.numberNo,
    ]),
    /an epoch never falls/,
  );
});
