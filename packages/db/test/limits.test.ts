import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { until } from "@manyline/testkit";
import {
  blockedUntil,
  checkPairingCode,
  endedBlocks,
  hashPhone,
  inTransaction,
  markBlockEnded,
  spendPairingCode,
} from "../src/index.ts";
import { addCompany, openWorld, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const HOUR = { perHour: 5, windowMs: 3_600_000, cooldownMs: 1_800_000 };
const somePhone = (): Buffer =>
  hashPhone(randomBytes(4).toString("hex"), world.test.keyring.pepper);

test("five codes are allowed; the sixth is refused and starts a cooldown of 30 minutes", async () => {
  const { companyNo } = await addCompany(world);
  const spend = () =>
    spendPairingCode(world.worker, { companyNo, phoneHash: somePhone(), limits: HOUR });
  for (const codesLeft of [4, 3, 2, 1, 0]) {
    assert.deepEqual(await spend(), { allowed: true, codesLeft, cooldownStarted: false });
  }
  const askedAt = Date.now();
  const sixth = await spend();
  assert.equal(sixth.allowed, false);
  assert.equal(sixth.scope, "company");
  assert.equal(sixth.cooldownStarted, true);
  assert.equal(sixth.codesLeft, 0);
  const waitMs = (sixth.until?.getTime() ?? 0) - askedAt;
  assert.ok(waitMs > 1_795_000 && waitMs < 1_805_000, `${waitMs} ms`);
  const seventh = await spend();
  assert.equal(seventh.cooldownStarted, false);
  assert.deepEqual(seventh.until, sixth.until, "a refusal costs nothing and does not extend");
  assert.deepEqual(await blockedUntil(world.worker, companyNo), sixth.until);
});

test("fifty callers at once: exactly five are allowed, one starts the cooldown", async () => {
  const { companyNo } = await addCompany(world);
  const many = world.open("worker", 20);
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      spendPairingCode(many, { companyNo, phoneHash: somePhone(), limits: HOUR }),
    ),
  );
  assert.equal(answers.filter(({ allowed }) => allowed).length, 5);
  assert.equal(answers.filter(({ cooldownStarted }) => cooldownStarted).length, 1);
  const left = answers.filter(({ allowed }) => allowed).map(({ codesLeft }) => codesLeft);
  assert.deepEqual(
    left.toSorted((x, y) => x - y),
    [0, 1, 2, 3, 4],
  );
});

test("one phone: five codes an hour across companies, without a cooldown for anybody", async () => {
  const phoneHash = somePhone();
  const companies = await Promise.all(Array.from({ length: 7 }, () => addCompany(world)));
  const many = world.open("worker", 10);
  const answers = await Promise.all(
    companies.map(({ companyNo }) =>
      spendPairingCode(many, { companyNo, phoneHash, limits: HOUR }),
    ),
  );
  const refused = answers.filter(({ allowed }) => !allowed);
  assert.equal(refused.length, 2);
  for (const answer of refused) {
    assert.equal(answer.scope, "phone");
    assert.equal(answer.cooldownStarted, false);
    assert.equal(answer.codesLeft, 5, "the company spent nothing");
    const waitMs = (answer.until?.getTime() ?? 0) - Date.now();
    assert.ok(waitMs > 3_590_000 && waitMs <= 3_600_000, `${waitMs} ms`);
  }
  const other = await spendPairingCode(many, {
    companyNo: companies[0]?.companyNo ?? 0,
    phoneHash: somePhone(),
    limits: HOUR,
  });
  assert.equal(other.allowed, true);
});

test("the window rolls: a code counts for its own hour, not until the last one is an hour old", async () => {
  const { companyNo } = await addCompany(world);
  const input = { companyNo, phoneHash: somePhone(), limits: { ...HOUR, perHour: 2 } };
  const pass = (minutes: number) =>
    world.superuser.query(
      `update whatsapp_rate_limits
        set spent_at = array(select t - $2 * interval '1 minute' from unnest(spent_at) t)
        where company_no = $1`,
      [companyNo, minutes],
    );
  const other = () => ({ ...input, phoneHash: somePhone() });
  assert.equal((await spendPairingCode(world.worker, other())).codesLeft, 1);
  await pass(40);
  assert.equal((await spendPairingCode(world.worker, other())).codesLeft, 0);
  await pass(25);
  // The first is over, the second is not.
  const answer = await checkPairingCode(world.worker, input);
  assert.deepEqual([answer.allowed, answer.codesLeft], [true, 1]);
});

test("after the cooldown the window is empty, and its end is told once", async () => {
  const { companyNo } = await addCompany(world);
  await takeAll(world, "limits");
  const limits = { perHour: 5, windowMs: 3_600_000, cooldownMs: 200 };
  const spend = () => spendPairingCode(world.worker, { companyNo, phoneHash: somePhone(), limits });
  for (let count = 0; count < 5; count += 1) await spend();
  assert.equal((await spend()).cooldownStarted, true);
  assert.deepEqual(await endedBlocks(world.worker, "limits"), []);
  await until(async () => (await endedBlocks(world.worker, "limits")).includes(companyNo));
  assert.deepEqual(await endedBlocks(world.worker, "somebody else"), []);
  const tell = () => inTransaction(world.worker, (tx) => markBlockEnded(tx, companyNo));
  assert.deepEqual([await tell(), await tell()], [true, false]);
  assert.deepEqual(await endedBlocks(world.worker, "limits"), []);
  assert.deepEqual(await spend(), { allowed: true, codesLeft: 4, cooldownStarted: false });
});

test("asking costs nothing, but with a full window it starts the cooldown", async () => {
  const { companyNo } = await addCompany(world);
  const input = { companyNo, phoneHash: somePhone(), limits: HOUR };
  for (let count = 0; count < 10; count += 1) {
    const answer = await checkPairingCode(world.worker, input);
    assert.deepEqual(answer, { allowed: true, codesLeft: 5, cooldownStarted: false });
  }
  for (let count = 0; count < 5; count += 1) {
    await spendPairingCode(world.worker, { ...input, phoneHash: somePhone() });
  }
  const full = await checkPairingCode(world.worker, input);
  assert.deepEqual([full.allowed, full.scope, full.cooldownStarted], [false, "company", true]);
});
