/** What a login reads at once, and the fence that keeps an earlier connection's late writes out. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  eraseAuth,
  FencedError,
  fencedTransaction,
  preloadAuth,
  readAuth,
  readKeys,
  writeAuth,
  type Fence,
  type PreloadedAuth,
} from "../src/index.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const PHONE = "79001234567";

async function linkedNumber(): Promise<Fence> {
  const { fence } = await ownedNumber(world);
  await world.superuser.query("update numbers set phone_e164 = $1 where number_no = $2", [
    PHONE,
    fence.numberNo,
  ]);
  await writeAuth(world.worker, world.test.keyring, fence, {
    creds: Buffer.from("creds"),
    keys: [
      { kind: "device-list", key: PHONE, value: Buffer.from("devices") },
      { kind: "device-list", key: "79000000000", value: Buffer.from("of another") },
      { kind: "session", key: `${PHONE}.3`, value: Buffer.from("own session") },
      ...Array.from({ length: 30 }, (_, id) => ({
        kind: "pre-key",
        key: String(id),
        value: Buffer.from(`pre-key ${id}`),
      })),
    ],
  });
  return fence;
}

async function load(fence: Fence): Promise<PreloadedAuth> {
  const loaded = (await preloadAuth(world.worker, world.test.keyring, [fence])).get(fence.numberNo);
  assert.ok(loaded);
  return loaded;
}
const write = (fence: Fence, value: string) =>
  writeAuth(world.worker, world.test.keyring, fence, {
    creds: Buffer.from(value),
    keys: [{ kind: "session", key: "a.0", value: Buffer.from(value) }],
  });

test("answers what a login asks, says what is not stored, and leaves the rest to the database", async () => {
  const fence = await linkedNumber();
  const loaded = await load(fence);
  assert.equal(loaded.creds?.toString(), "creds");
  const answer = (kind: string, key: string) =>
    loaded.answer(kind, key)?.toString() ?? loaded.answer(kind, key);
  assert.equal(answer("device-list", PHONE), "devices");
  assert.equal(answer("session", `${PHONE}.3`), "own session");
  assert.equal(answer("pre-key", "29"), "pre-key 29");
  assert.equal(answer("session", `${PHONE}.4`), null);
  assert.equal(answer("tctoken", "__index"), null);
  assert.equal(answer("lid-mapping", PHONE), null);
  assert.equal(answer("device-list", "79000000000"), undefined);
  assert.equal(answer("pre-key", "30"), undefined);
  assert.equal(answer("session", "a.0"), undefined);
});

test("many at once; those of another epoch are missing", async () => {
  const [one, two] = [await linkedNumber(), await linkedNumber()];
  const stale = { ...two, epoch: two.epoch - 1 };
  const found = await preloadAuth(world.worker, world.test.keyring, [stale, one]);
  assert.deepEqual([...found.keys()], [one.numberNo]);
});

test("once the next login has begun, nothing of the one before is written", async () => {
  const fence = await linkedNumber();
  const { keyring } = world.test;
  const first = await load(fence);
  await write(first.fence, "first");
  const second = await load(fence);
  await assert.rejects(write(first.fence, "late"), FencedError);
  assert.equal((await readAuth(world.worker, keyring, fence)).creds?.toString(), "first");
  await write(second.fence, "second");
  const keys = await readKeys(world.worker, keyring, fence, "session", ["a.0"]);
  assert.equal(keys.get("a.0")?.toString(), "second");
});

test("a login waits for a write under way and reads what it wrote", async () => {
  const fence = await linkedNumber();
  const first = await load(fence);
  const isWriting = Promise.withResolvers<void>();
  const mayEnd = Promise.withResolvers<void>();
  const writing = fencedTransaction(world.worker, fence, async (tx) => {
    await writeAuth(tx, world.test.keyring, first.fence, { creds: Buffer.from("under way") });
    isWriting.resolve();
    await mayEnd.promise;
  });
  await isWriting.promise;
  const loading = load(fence);
  setTimeout(mayEnd.resolve, 100);
  assert.equal((await loading).creds?.toString(), "under way");
  await writing;
});

test("erased credentials are not brought back by their connection", async () => {
  const fence = await linkedNumber();
  const first = await load(fence);
  await fencedTransaction(world.worker, fence, (tx) => eraseAuth(tx, fence));
  await assert.rejects(write(first.fence, "late"), FencedError);
  assert.equal((await readAuth(world.worker, world.test.keyring, fence)).creds, undefined);
});
