import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { describe, test } from "node:test";
import type { Executor } from "../open.ts";
import { createKeyring, hashPhone, type Keyring, parseKeks } from "./keyring.ts";

const key = randomBytes(32);
const text = `main:${key.toString("base64")}`;

describe("key-encryption keys", () => {
  test("are read with their ids, the first is the current one", () => {
    const keks = parseKeks(`${text}, old:${randomBytes(32).toString("base64")}`);
    assert.deepEqual(
      keks.map(({ id }) => id),
      ["main", "old"],
    );
    assert.deepEqual(keks[0]?.key, key);
    assert.equal(createKeyring({ keks }).currentKekId, "main");
  });

  const zero = Buffer.alloc(32).toString("base64");
  const short = randomBytes(16).toString("base64");
  for (const [what, value] of [
    ["nothing", undefined],
    ["an empty text", ""],
    ["no id", zero],
    ["an all-zero key", `main:${zero}`],
    ["a key of one repeated byte", `main:${Buffer.alloc(32, 7).toString("base64")}`],
    ["a short key", `main:${short}`],
    ["no key", "main:"],
    ["an id given twice", `${text},${text}`],
    ["one bad key beside a good one", `${text},old:${short}`],
  ] as const) {
    test(`${what} is refused, and no key is in the message`, () => {
      assert.throws(
        () => parseKeks(value),
        (error: Error) =>
          error.name === "CryptoError" &&
          !error.message.includes(key.toString("base64").slice(0, 8)),
      );
    });
  }
});

/** A keyring whose company has this data key, without a database. */
function withDataKey(keyring: Keyring, companyNo: number): Executor {
  const row = { companyNo, ...keyring.newWrappedKey(companyNo) };
  const executor = {
    getExecutor: () => executor,
    transformQuery: (node: unknown) => node,
    compileQuery: () => ({ sql: "", parameters: [] }),
    executeQuery: async () => ({ rows: [row] }),
    adapter: undefined,
  };
  return executor as unknown as Executor;
}

describe("sealed values", () => {
  const keyring = createKeyring({ keks: parseKeks(text) });
  const context = { numberNo: 7, kind: "creds", key: "" };

  test("open in their place, and differ each time", async () => {
    const sealer = await keyring.sealer(withDataKey(keyring, 1), 1);
    const plain = Buffer.from("plain text");
    const [a, b] = [sealer.seal(context, plain), sealer.seal(context, plain)];
    assert.notDeepEqual(a, b);
    assert.equal(a[0], 1);
    assert.equal(a.length, 1 + 12 + plain.length + 16);
    assert.deepEqual(sealer.open(context, a), plain);
    assert.deepEqual(sealer.open(context, sealer.seal(context, Buffer.alloc(0))), Buffer.alloc(0));
  });

  test("open nowhere else, and not when changed", async () => {
    const sealer = await keyring.sealer(withDataKey(keyring, 1), 1);
    const other = await createKeyring({ keks: parseKeks(text) }).sealer(withDataKey(keyring, 2), 2);
    const sealed = sealer.seal(context, Buffer.from("plain text"));
    for (const wrong of [
      { ...context, numberNo: 8 },
      { ...context, numberNo: null },
      { ...context, kind: "key-session" },
      { ...context, key: "x" },
    ]) {
      assert.throws(() => sealer.open(wrong, sealed), { name: "CryptoError" });
    }
    assert.throws(() => other.open(context, sealed), { name: "CryptoError" });
    for (let index = 0; index < sealed.length; index += 1) {
      const changed = Buffer.from(sealed);
      changed[index] = (changed[index] ?? 0) ^ 1;
      assert.throws(() => sealer.open(context, changed), { name: "CryptoError" });
    }
    for (const length of [0, 1, 28]) {
      assert.throws(() => sealer.open(context, sealed.subarray(0, length)), {
        name: "CryptoError",
      });
    }
  });

  test("a kind cannot hold the separator", async () => {
    const sealer = await keyring.sealer(withDataKey(keyring, 1), 1);
    assert.throws(() => sealer.seal({ ...context, kind: "a/b" }, Buffer.alloc(1)), TypeError);
  });

  test("a wrapped data key of another company does not open", async () => {
    const foreign = withDataKey(createKeyring({ keks: parseKeks(text) }), 1);
    await assert.rejects(createKeyring({ keks: parseKeks(text) }).sealer(foreign, 2), {
      name: "CryptoError",
    });
  });
});

test("data keys are kept up to the limit: the one used longest ago goes first", async () => {
  const keyring = createKeyring({ keks: parseKeks(text), cache: 2 });
  const nothing = {
    getExecutor: () => {
      throw new Error("asked the database");
    },
  } as unknown as Executor;
  await keyring.sealer(withDataKey(keyring, 1), 1);
  await keyring.sealer(withDataKey(keyring, 2), 2);
  await keyring.sealer(nothing, 1);
  await keyring.sealer(withDataKey(keyring, 3), 3);
  await keyring.sealer(nothing, 1);
  await keyring.sealer(nothing, 3);
  await assert.rejects(keyring.sealer(nothing, 2), /asked the database/);
});

test("phones are hashed with a key of the keyring", () => {
  const one = createKeyring({ keks: parseKeks(text) });
  const two = createKeyring({ keks: [{ id: "main", key: randomBytes(32) }] });
  const hash = hashPhone("79001234567", one.pepper);
  assert.equal(hash.length, 32);
  assert.deepEqual(hash, hashPhone("79001234567", one.pepper));
  assert.notDeepEqual(hash, hashPhone("79001234568", one.pepper));
  assert.notDeepEqual(hash, hashPhone("79001234567", two.pepper));
});
