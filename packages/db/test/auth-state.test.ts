import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { after, before, test } from "node:test";
import { type KyselyPlugin, sql } from "kysely";
import {
  createKeyring,
  CryptoError,
  eraseAuth,
  type Fence,
  FencedError,
  fencedTransaction,
  readAuth,
  readKeys,
  rotateKek,
  writeAuth,
} from "../src/index.ts";
import { TEST_KEKS } from "../src/testing.ts";
import { addNumber, openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const preKeys = (
  from: number,
  count: number,
  text = (id: number) => `pre-key ${id} ${"x".repeat(80)}`,
) =>
  Array.from({ length: count }, (_, index) => ({
    kind: "pre-key",
    key: String(from + index),
    value: Buffer.from(text(from + index)),
  }));

async function counts(fence: Fence): Promise<{ keys: number; packs: number }> {
  const { rows } = await world.superuser.query<{ keys: string; packs: string }>(
    `select (select count(*) from auth_keys where number_no = $1) as keys,
      (select count(*) from auth_key_packs where number_no = $1) as packs`,
    [fence.numberNo],
  );
  return { keys: Number(rows[0]?.keys), packs: Number(rows[0]?.packs) };
}

test("credentials and keys come back as they were written; nothing is stored in clear", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  assert.deepEqual(await readAuth(world.worker, keyring, fence), { creds: undefined });
  await writeAuth(world.worker, keyring, fence, {
    creds: Buffer.from('{"noiseKey":"SECRET"}'),
    keys: [
      { kind: "session", key: "a.0", value: Buffer.from("SECRET first") },
      { kind: "session", key: "a.0", value: Buffer.from("SECRET last") },
      { kind: "session", key: "b.0", value: Buffer.from("SECRET b") },
      { kind: "sender-key", key: "a.0", value: Buffer.alloc(0) },
      { kind: "session", key: "absent", value: null },
    ],
  });
  assert.equal(
    (await readAuth(world.worker, keyring, fence)).creds?.toString(),
    '{"noiseKey":"SECRET"}',
  );
  const keys = await readKeys(world.worker, keyring, fence, "session", ["a.0", "b.0", "c.0"]);
  assert.deepEqual(
    ["a.0", "b.0", "c.0"].map((id) => [id, keys.get(id)?.toString()]),
    [
      ["a.0", "SECRET last"],
      ["b.0", "SECRET b"],
      ["c.0", undefined],
    ],
  );
  const empty = await readKeys(world.worker, keyring, fence, "sender-key", ["a.0"]);
  assert.equal(empty.get("a.0")?.length, 0);

  const { rows } = await world.superuser.query<{ value: Buffer }>(
    "select value from auth_keys union all select value from auth_creds",
  );
  for (const { value } of rows) assert.equal(value.includes("SECRET"), false);
});

test("deletes alone are not taken for a lost fence", async () => {
  const { fence } = await ownedNumber(world);
  await writeAuth(world.worker, world.test.keyring, fence, {
    keys: [{ kind: "session", key: "never-there", value: null }],
  });
  await writeAuth(world.worker, world.test.keyring, fence, {});
});

test("812 pre-keys of one upload are one row; single ones are found, deleted and replaced", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  const read = async (...ids: string[]) =>
    (await readKeys(world.worker, keyring, fence, "pre-key", ids)).size;
  await writeAuth(world.worker, keyring, fence, { keys: preKeys(1, 812) });
  assert.deepEqual(await counts(fence), { keys: 0, packs: 1 });
  const found = await readKeys(world.worker, keyring, fence, "pre-key", ["1", "812", "813"]);
  assert.deepEqual([...found.keys()].toSorted(), ["1", "812"]);
  assert.equal(found.get("812")?.toString().startsWith("pre-key 812 "), true);

  await writeAuth(world.worker, keyring, fence, {
    keys: [{ kind: "pre-key", key: "7", value: null }],
  });
  assert.equal(await read("7"), 0);
  assert.equal(await read("6", "8"), 2);
  assert.deepEqual(await counts(fence), { keys: 0, packs: 1 });

  // A later value of the same id counts, alone or in another pack.
  const one = { kind: "pre-key", key: "9", value: Buffer.from("new 9") };
  await writeAuth(world.worker, keyring, fence, { keys: [one] });
  const nine = await readKeys(world.worker, keyring, fence, "pre-key", ["9"]);
  assert.equal(nine.get("9")?.toString(), "new 9");
  await writeAuth(world.worker, keyring, fence, {
    keys: preKeys(9, 20, () => "newest"),
  });
  const newest = await readKeys(world.worker, keyring, fence, "pre-key", ["9", "28", "29"]);
  assert.equal(newest.get("9")?.toString(), "newest");
  assert.equal(newest.get("28")?.toString(), "newest");
  assert.equal(newest.get("29")?.toString().startsWith("pre-key 29"), true);
  assert.deepEqual(await counts(fence), { keys: 0, packs: 2 });
});

test("a pack goes when all its keys are gone", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  await writeAuth(world.worker, keyring, fence, { keys: preKeys(1, 30) });
  for (const key of ["1", "2", "2", "99"]) {
    await writeAuth(world.worker, keyring, fence, {
      keys: [{ kind: "pre-key", key, value: null }],
    });
  }
  assert.equal((await counts(fence)).packs, 1);
  const rest = preKeys(3, 28).map(({ kind, key }) => ({ kind, key, value: null }));
  await writeAuth(world.worker, keyring, fence, { keys: rest });
  assert.equal((await counts(fence)).packs, 0);
});

test("writing is one round trip and one statement, also with packs and deletes", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  await writeAuth(world.worker, keyring, fence, { creds: Buffer.from("warm") });
  const single = world.open("worker", 1);
  const statements: string[] = [];
  await writeAuth(single.withPlugin(recorder(statements)), keyring, fence, {
    creds: Buffer.from("{}"),
    keys: [...preKeys(1, 20), { kind: "session", key: "x", value: null }],
  });
  assert.equal(statements.length, 1);
});

/** Notes each statement that is sent. */
function recorder(statements: string[]): KyselyPlugin {
  return {
    transformQuery: ({ node }) => {
      statements.push(node.kind);
      return node;
    },
    transformResult: async ({ result }) => result,
  };
}

test("all or nothing: a fenced write inside a larger transaction is undone with it", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  await assert.rejects(
    fencedTransaction(world.worker, fence, async (tx) => {
      await writeAuth(tx, keyring, fence, { creds: Buffer.from("x") });
      throw new Error("later");
    }),
    /later/,
  );
  assert.equal((await readAuth(world.worker, keyring, fence)).creds, undefined);
});

test("erasing takes everything of the number and nothing of another", async () => {
  const { fence, company } = await ownedNumber(world);
  const { keyring } = world.test;
  const second = await addNumber(world, company.companyNo);
  const other = { ...fence, numberNo: second.numberNo };
  await world.superuser.query("update number_fence set epoch = $1 where number_no = $2", [
    fence.epoch,
    second.numberNo,
  ]);
  for (const target of [fence, other]) {
    await writeAuth(world.worker, keyring, target, {
      creds: Buffer.from("c"),
      keys: [...preKeys(1, 20), { kind: "session", key: "s", value: Buffer.from("s") }],
    });
  }
  await fencedTransaction(world.worker, fence, (tx) => eraseAuth(tx, fence));
  assert.equal((await readAuth(world.worker, keyring, fence)).creds, undefined);
  assert.deepEqual(await counts(fence), { keys: 0, packs: 0 });
  assert.deepEqual(await counts(other), { keys: 1, packs: 1 });
});

test("the worker cannot write around write_auth", async () => {
  const { fence } = await ownedNumber(world);
  for (const table of ["auth_creds", "auth_keys", "auth_key_packs"]) {
    for (const statement of [`delete from ${table}`, `update ${table} set value = ''`]) {
      await assert.rejects(
        fencedTransaction(world.worker, fence, (tx) => sql.raw(statement).execute(tx)),
        /permission denied/,
      );
    }
  }
});

test("a value moved to another number, kind or company does not open", async () => {
  const { fence } = await ownedNumber(world);
  const other = await ownedNumber(world);
  const { keyring } = world.test;
  const creds = Buffer.from("mine");
  await writeAuth(world.worker, keyring, fence, { creds });
  await writeAuth(world.worker, keyring, other.fence, { creds: Buffer.from("theirs") });
  await world.superuser.query(
    `update auth_creds set value = (select value from auth_creds where number_no = $1)
      where number_no = $2`,
    [fence.numberNo, other.fence.numberNo],
  );
  await assert.rejects(readAuth(world.worker, keyring, other.fence), CryptoError);
});

test("rotating the key-encryption key re-wraps data keys and leaves values readable", async () => {
  const { fence } = await ownedNumber(world);
  const { keyring } = world.test;
  await writeAuth(world.worker, keyring, fence, { creds: Buffer.from("before") });
  const next = { id: "next", key: randomBytes(32) };
  const both = createKeyring({ keks: [next, ...TEST_KEKS] });
  const rotated = await rotateKek(world.platform, both);
  assert.ok(rotated > 0);
  assert.equal(await rotateKek(world.platform, both), 0);
  const onlyNext = createKeyring({ keks: [next] });
  assert.equal((await readAuth(world.worker, onlyNext, fence)).creds?.toString(), "before");
  const onlyOld = createKeyring({ keks: TEST_KEKS });
  await assert.rejects(readAuth(world.worker, onlyOld, fence), /next is not configured/);
});

test("readKeys of a stale epoch is fenced", async () => {
  const { fence } = await ownedNumber(world);
  const stale = { ...fence, epoch: fence.epoch - 1 };
  await assert.rejects(
    readKeys(world.worker, world.test.keyring, stale, "session", ["a"]),
    FencedError,
  );
});
