import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { newNumberId } from "@manyline/contracts";
import {
  createCompany,
  createNumber,
  deleteCompany,
  getCompany,
  housekeeping,
  getNumber,
  getPrimaryNumber,
  inTransaction,
  isPhoneLinkedElsewhere,
  listCompanies,
  listNumbers,
  lockPrimaryNumber,
  markPhoneMissing,
  type NumberPatch,
  fencedTransaction,
  getCompanyByNo,
  removeNumber,
  SHARD_SIZE,
  updateCompany,
  updateNumber,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { entry, lineOf, stranger, textFrom } from "./message-support.ts";
import { addCompany, addNumber, openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

describe("companies", () => {
  test("numbers of companies have no gaps, neither by rollbacks nor by creating many at once", async () => {
    const first = await addCompany(world);
    await assert.rejects(
      inTransaction(world.platform, async (tx) => {
        await createCompany(tx, world.test.keyring, { ...inputOf("undone") });
        throw new Error("undo");
      }),
      /undo/,
    );
    const many = world.open("platform", 10);
    const made = await Promise.all(
      Array.from({ length: 20 }, (_, index) =>
        inTransaction(many, (tx) =>
          createCompany(tx, world.test.keyring, inputOf(`many-${index}`)),
        ),
      ),
    );
    const numbers = made.map(({ companyNo }) => companyNo).toSorted((a, b) => a - b);
    assert.deepEqual(
      numbers,
      Array.from({ length: 20 }, (_, index) => first.companyNo + 1 + index),
    );
  });

  test("an outer id exists once; a refused one leaves no gap either", async () => {
    const { companyId, companyNo } = await addCompany(world);
    await assert.rejects(addCompany(world, companyId), { code: "COMPANY_EXISTS" });
    assert.equal((await addCompany(world)).companyNo, companyNo + 1);
    assert.equal((await getCompany(world.platform, companyId))?.companyNo, companyNo);
    assert.equal(await getCompany(world.platform, "unknown"), undefined);
  });

  test("every company has a shard of its range, with a lease row nobody owns yet", async () => {
    await world.superuser.query("update company_counter set last_no = $1", [10 * SHARD_SIZE - 1]);
    const last = await addCompany(world);
    const next = await addCompany(world);
    const { rows } = await world.superuser.query(
      `select c.company_no, s.lo, s.hi, l.owner, l.epoch from companies c
        join shards s using (shard_id) join shard_leases l using (shard_id)
        where company_no = any ($1) order by 1`,
      [[last.companyNo, next.companyNo]],
    );
    assert.deepEqual(rows, [
      { company_no: 640, lo: 577, hi: 641, owner: null, epoch: "0" },
      { company_no: 641, lo: 641, hi: 705, owner: null, epoch: "0" },
    ]);
  });

  test("they are listed page by page, and changed field by field", async () => {
    const all = await listCompanies(world.platform, { limit: 1_000 });
    const page = await listCompanies(world.platform, { after: all[2]?.companyNo, limit: 2 });
    assert.deepEqual(page, all.slice(3, 5));
    const { companyNo } = await addCompany(world);
    const changed = await withCompany(world.app, companyNo, (tx) =>
      updateCompany(tx, companyNo, {
        name: "New",
        phone: "79001234567",
        whatsappConfig: { smsNotifications: true },
      }),
    );
    assert.deepEqual(
      [changed?.name, changed?.phone, changed?.country, changed?.whatsappConfig],
      ["New", "79001234567", "RU", { smsNotifications: true }],
    );
    assert.equal(await updateCompany(world.platform, 999_999, { name: "x" }), undefined);
  });

  test("a missing phone is told once until the phone changes", async () => {
    const { fence, company } = await ownedNumber(world);
    const tell = () =>
      fencedTransaction(world.worker, fence, (tx) => markPhoneMissing(tx, company.companyNo));
    assert.deepEqual([await tell(), await tell()], [true, false]);
    await updateCompany(world.platform, company.companyNo, { phone: null, name: "same phone" });
    assert.equal(await tell(), false);
    await updateCompany(world.platform, company.companyNo, { phone: "79001234567" });
    assert.equal(await tell(), true);
    const row = await getCompanyByNo(world.platform, company.companyNo);
    assert.equal(row?.phoneMissingNotified, true);
  });

  test("a missing phone is told again when the number's own phone has changed", async () => {
    const { fence, company, number } = await ownedNumber(world);
    const { companyNo } = company;
    const change = (patch: NumberPatch) =>
      withCompany(world.app, companyNo, (tx) =>
        updateNumber(tx, companyNo, number.numberNo, patch),
      );
    const tell = () =>
      fencedTransaction(world.worker, fence, (tx) => markPhoneMissing(tx, companyNo));
    assert.deepEqual([await tell(), await tell()], [true, false]);
    await change({ phone: number.phone, name: "same phone" });
    assert.equal(await tell(), false);
    await change({ phone: "79007654321" });
    assert.equal(await tell(), true);
    await change({ phone: null });
    assert.equal(await tell(), true);
  });

  test("deleting takes everything of the company and nothing of another", async () => {
    const gone = await ownedNumber(world);
    const stays = await ownedNumber(world);
    for (const { fence } of [gone, stays]) {
      await writeAuth(world.worker, world.test.keyring, fence, {
        creds: Buffer.from("c"),
        journal: [entry("open")],
      });
    }
    for (const owned of [gone, stays]) await lineOf(world, owned).commit(textFrom(stranger()));
    const remove = () =>
      inTransaction(world.platform, (tx) => deleteCompany(tx, gone.company.companyNo));
    assert.deepEqual([await remove(), await remove()], [true, false]);
    const { rows } = await world.superuser.query<{ relname: string }>(
      `select distinct c.relname from pg_attribute a join pg_class c on c.oid = a.attrelid
        where a.attname = 'company_no' and c.relkind in ('r', 'p')`,
    );
    const left = async (companyNo: number) => {
      const tables: string[] = [];
      for (const { relname } of rows) {
        const found = await world.superuser.query(
          `select from ${relname} where company_no = $1 limit 1`,
          [companyNo],
        );
        if (found.rowCount) tables.push(relname);
      }
      return tables.filter((name) => !/_[0-9]{6,8}$/.test(name)).toSorted();
    };
    assert.deepEqual(await left(gone.company.companyNo), [
      "inbound_journal",
      "messages",
      "removed_numbers",
    ]);
    await housekeeping(world.worker);
    assert.deepEqual(await left(gone.company.companyNo), []);
    const still = await left(stays.company.companyNo);
    assert.ok(still.includes("messages") && still.includes("inbound_journal"));
    assert.ok(await getNumber(world.platform, stays.company.companyNo, stays.number.numberId));
  });
});

describe("numbers", () => {
  test("the first is primary; another can take it; deleting the primary promotes", async () => {
    const { companyNo } = await addCompany(world);
    const first = await addNumber(world, companyNo);
    const second = await addNumber(world, companyNo);
    const third = await addNumber(world, companyNo, { makePrimary: true });
    const flags = async () =>
      (await listNumbers(world.platform, companyNo)).map(({ numberNo, isPrimary }) => [
        numberNo,
        isPrimary,
      ]);
    assert.deepEqual(await flags(), [
      [third.numberNo, true],
      [first.numberNo, false],
      [second.numberNo, false],
    ]);
    await inTransaction(world.platform, (tx) =>
      updateNumber(tx, companyNo, second.numberNo, { isPrimary: true }),
    );
    assert.equal((await getPrimaryNumber(world.platform, companyNo))?.numberNo, second.numberNo);
    const locked = await inTransaction(world.platform, (tx) => lockPrimaryNumber(tx, companyNo));
    assert.equal(locked?.numberNo, second.numberNo);
    const missing = await inTransaction(world.platform, (tx) =>
      updateNumber(tx, companyNo, 999_999, { isPrimary: true }),
    );
    assert.equal(missing, undefined);
    assert.equal((await getPrimaryNumber(world.platform, companyNo))?.numberNo, second.numberNo);
    const remove = (numberNo: number) =>
      inTransaction(world.platform, (tx) => removeNumber(tx, companyNo, numberNo));
    assert.equal((await remove(second.numberNo)).promoted?.numberNo, first.numberNo);
    assert.deepEqual(await remove(third.numberNo), { removed: true });
    assert.deepEqual(await remove(first.numberNo), { removed: true });
    assert.deepEqual(await remove(first.numberNo), { removed: false });
  });

  test("a linked number is promoted before an older one that is not", async () => {
    const { fence, company } = await ownedNumber(world);
    const older = await addNumber(world, company.companyNo);
    const primary = await addNumber(world, company.companyNo, { makePrimary: true });
    await world.superuser.query(
      "insert into auth_creds select company_no, number_no, '' from numbers where number_no = $1",
      [older.numberNo],
    );
    const { promoted } = await inTransaction(world.platform, (tx) =>
      removeNumber(tx, company.companyNo, primary.numberNo),
    );
    assert.equal(promoted?.numberNo, older.numberNo);
    assert.notEqual(promoted?.numberNo, fence.numberNo);
    assert.equal(promoted?.isLinked, true);
  });

  test("many added at once: one primary, and never more than allowed", async () => {
    const { companyNo } = await addCompany(world);
    const many = world.open("platform", 10);
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, () =>
        inTransaction(many, (tx) =>
          createNumber(tx, companyNo, {
            numberId: newNumberId(),
            provider: "linked",
            phone: null,
            name: null,
            makePrimary: true,
            maxNumbers: 5,
          }),
        ),
      ),
    );
    assert.equal(results.filter(({ status }) => status === "fulfilled").length, 5);
    for (const result of results) {
      if (result.status === "rejected") assert.equal(codeOf(result.reason), "NUMBER_LIMIT_REACHED");
    }
    const numbers = await listNumbers(world.platform, companyNo);
    assert.equal(numbers.filter(({ isPrimary }) => isPrimary).length, 1);
    const { rowCount } = await world.superuser.query(
      "select from number_fence where company_no = $1 and epoch = 0",
      [companyNo],
    );
    assert.equal(rowCount, 5);
  });

  test("a phone counts as linked elsewhere only for a number with credentials of the same company", async () => {
    const phone = "79001234567";
    const { companyNo } = await addCompany(world);
    const linked = await addNumber(world, companyNo, { phone });
    const other = await addNumber(world, companyNo, { phone });
    const foreign = await addCompany(world);
    const asked = await addNumber(world, foreign.companyNo, { phone });
    const ask = (company: number, except: number) =>
      isPhoneLinkedElsewhere(world.worker, company, except, phone);
    assert.equal(await ask(companyNo, other.numberNo), false);
    await world.superuser.query("insert into auth_creds values ($1, $2, '')", [
      companyNo,
      linked.numberNo,
    ]);
    assert.equal(await ask(companyNo, other.numberNo), true);
    assert.equal(await ask(companyNo, linked.numberNo), false);
    assert.equal(await ask(foreign.companyNo, asked.numberNo), false);
  });
});

function codeOf(error: unknown): unknown {
  return typeof error === "object" && error !== null && "code" in error ? error.code : error;
}

function inputOf(companyId: string) {
  return {
    companyId,
    name: companyId,
    country: null,
    phone: null,
    adminEmail: null,
    notificationEmail: null,
    timezone: "UTC",
    language: "en",
    whatsappEnabled: true,
    whatsappConfig: {},
  };
}
