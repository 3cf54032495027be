import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import {
  audit,
  authenticate,
  createToken,
  ensureAdminToken,
  exchangeLink,
  inTransaction,
  listAudit,
  listTokens,
  removeNumber,
  revokeToken,
  verifyAuditChain,
  withCompany,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

async function link(ttlMs = 60_000) {
  const company = await addCompany(world);
  const number = await addNumber(world, company.companyNo);
  const token = await withCompany(world.app, company.companyNo, (tx) =>
    createToken(tx, {
      companyNo: company.companyNo,
      numberNo: number.numberNo,
      name: "pairing link",
      scopes: ["pair"],
      ttlMs,
      kind: "link",
    }),
  );
  return { company, number, ...token };
}

describe("tokens", () => {
  test("a company token is found by its secret alone, and only its hash is stored", async () => {
    const { companyNo, companyId } = await addCompany(world);
    const { secret, tokenId } = await withCompany(world.app, companyNo, (tx) =>
      createToken(tx, { companyNo, name: "main", scopes: ["read", "pair"], kind: "api" }),
    );
    assert.match(secret, new RegExp(`^mly_a_${tokenId}_[A-Za-z0-9_-]{43}$`));
    assert.deepEqual(await authenticate(world.app, secret), {
      tokenId,
      companyNo,
      companyId,
      numberNo: null,
      numberId: null,
      kind: "api",
      scopes: ["read", "pair"],
      expiresAt: null,
    });
    assert.equal(await authenticate(world.app, `${secret}x`), undefined);
    const { rows } = await world.superuser.query<{ row: string }>(
      "select t::text as row from api_tokens t",
    );
    const random = secret.slice(-43);
    assert.ok(rows.every(({ row }) => !row.includes(random)));
  });

  test("revoked and expired ones are nobody's", async () => {
    const { companyNo } = await addCompany(world);
    const make = (ttlMs?: number) =>
      withCompany(world.app, companyNo, (tx) =>
        createToken(tx, {
          companyNo,
          name: "t",
          scopes: ["read"],
          kind: "api",
          ...(ttlMs === undefined ? {} : { ttlMs }),
        }),
      );
    const [lasting, short, expired] = [await make(), await make(60_000), await make(-1)];
    assert.ok(short.expiresAt);
    assert.ok(await authenticate(world.app, short.secret));
    assert.equal(await authenticate(world.app, expired.secret), undefined);
    const revoke = () =>
      withCompany(world.app, companyNo, (tx) => revokeToken(tx, companyNo, lasting.tokenId));
    const other = await addCompany(world);
    const byOther = await withCompany(world.app, other.companyNo, (tx) =>
      revokeToken(tx, companyNo, lasting.tokenId),
    );
    assert.equal(byOther, false);
    assert.deepEqual([await revoke(), await revoke()], [true, false]);
    assert.equal(await authenticate(world.app, lasting.secret), undefined);
    const listed = await withCompany(world.app, companyNo, (tx) => listTokens(tx, companyNo));
    assert.deepEqual(
      listed.map(({ tokenId }) => tokenId),
      [short.tokenId],
    );
  });

  test("a link is no token; it is exchanged once, whoever tries at the same time", async () => {
    const { secret, company, number } = await link();
    assert.equal(await authenticate(world.app, secret), undefined);
    const many = world.open("app", 8);
    const answers = await Promise.all(
      Array.from({ length: 8 }, () => exchangeLink(many, secret, 3_600_000)),
    );
    const [cookie, ...more] = answers.filter((answer) => answer !== undefined);
    assert.deepEqual(more, []);
    assert.equal(cookie?.companyId, company.companyId);
    assert.equal(cookie?.numberId, number.numberId);
    const who = await authenticate(world.app, cookie?.secret ?? "");
    assert.deepEqual(
      [who?.kind, who?.companyNo, who?.numberNo, who?.scopes],
      ["cookie", company.companyNo, number.numberNo, ["pair"]],
    );
    assert.deepEqual(who?.expiresAt, cookie?.expiresAt);
    assert.equal(await exchangeLink(world.app, cookie?.secret ?? "", 1_000), undefined);
  });

  test("an expired or revoked link is not exchanged; a removed number's cookie is dead", async () => {
    const old = await link(-1);
    assert.equal(await exchangeLink(world.app, old.secret, 1_000), undefined);
    const { secret, company, number } = await link();
    const cookie = await exchangeLink(world.app, secret, 60_000);
    assert.ok(cookie);
    await inTransaction(world.platform, (tx) =>
      removeNumber(tx, company.companyNo, number.numberNo),
    );
    assert.equal(await authenticate(world.app, cookie.secret), undefined);
  });

  test("the admin token of the environment: any number of processes, and a new one ends the old one", async () => {
    const many = world.open("platform", 6);
    const ensure = (secret: string) => inTransaction(many, (tx) => ensureAdminToken(tx, secret));
    await Promise.all(Array.from({ length: 6 }, () => ensure("first-secret-of-the-operator")));
    const first = await authenticate(world.platform, "first-secret-of-the-operator");
    assert.deepEqual([first?.companyNo, first?.scopes], [null, ["admin"]]);
    await ensure("second-secret-of-the-operator");
    assert.equal(await authenticate(world.platform, "first-secret-of-the-operator"), undefined);
    assert.ok(await authenticate(world.platform, "second-secret-of-the-operator"));
    await ensure("first-secret-of-the-operator");
    assert.ok(await authenticate(world.platform, "first-secret-of-the-operator"));
    assert.equal(await authenticate(world.platform, "second-secret-of-the-operator"), undefined);
  });
});

describe("the audit log", () => {
  test("entries form a chain per company, also when many write at once", async () => {
    const first = await addCompany(world);
    const second = await addCompany(world);
    const many = world.open("app", 10);
    await Promise.all(
      [first, second].flatMap(({ companyNo }) =>
        Array.from({ length: 15 }, (_, index) =>
          withCompany(many, companyNo, (tx) =>
            audit(tx, {
              companyNo,
              actor: "token:x",
              action: "number.unlinked",
              target: `num_${index}`,
              requestId: "req",
              details: { index, umlaut: "ü", nested: { a: [1, 2.5] } },
            }),
          ),
        ),
      ),
    );
    for (const { companyNo } of [first, second]) {
      const verified = await withCompany(world.app, companyNo, (tx) =>
        verifyAuditChain(tx, companyNo),
      );
      assert.deepEqual(verified, { ok: true, entries: 15 });
      const page = await withCompany(world.app, companyNo, (tx) =>
        listAudit(tx, companyNo, { before: 15, limit: 3 }),
      );
      assert.deepEqual(
        page.map(({ seq }) => seq),
        [14, 13, 12],
      );
      assert.deepEqual(page[0]?.details["nested"], { a: [1, 2.5] });
    }
    const foreign = await withCompany(world.app, first.companyNo, (tx) =>
      listAudit(tx, second.companyNo, { limit: 10 }),
    );
    assert.deepEqual(foreign, []);
  });

  test("a changed, an inserted and a removed entry are found", async () => {
    const { companyNo } = await addCompany(world);
    for (const action of ["a", "b", "c", "d", "e"]) {
      await audit(world.platform, { companyNo, actor: "admin", action });
    }
    const verify = () => verifyAuditChain(world.platform, companyNo);
    const change = (statement: string) => world.superuser.query(statement, [companyNo]);
    assert.deepEqual(await verify(), { ok: true, entries: 5 });
    await change("update audit_log set actor = 'nobody' where company_no = $1 and seq = 3");
    assert.deepEqual(await verify(), { ok: false, brokenAt: 3 });
    await change("update audit_log set actor = 'admin' where company_no = $1 and seq = 3");
    assert.deepEqual(await verify(), { ok: true, entries: 5 });
    await change("delete from audit_log where company_no = $1 and seq = 4");
    assert.deepEqual(await verify(), { ok: false, brokenAt: 5 });
    await change("delete from audit_log where company_no = $1 and seq = 5");
    // The oldest may be removed by the owner of the database.
    await change("delete from audit_log where company_no = $1 and seq = 1");
    assert.deepEqual(await verify(), { ok: true, entries: 2 });
  });

  test("what concerns no company has a chain of its own", async () => {
    await audit(world.platform, { companyNo: null, actor: "admin", action: "company.created" });
    const verified = await verifyAuditChain(world.platform, null);
    assert.deepEqual(verified, { ok: true, entries: 1 });
    const { companyNo } = await addCompany(world);
    const seen = await withCompany(world.app, companyNo, (tx) =>
      listAudit(tx, null, { limit: 10 }),
    );
    assert.deepEqual(seen, []);
  });
});
