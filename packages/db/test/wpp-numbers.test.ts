import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Fence,
  fencedTransaction,
  getNumber,
  isWppClientTaken,
  noteWppOrganisation,
  readWppNumber,
  setWppClient,
} from "../src/index.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const KEY = "k_sample_000000000000000001";

async function wppNumber(): Promise<Fence> {
  const { fence } = await ownedNumber(world);
  await world.superuser.query("update numbers set provider = 'wpp' where number_no = $1", [
    fence.numberNo,
  ]);
  return fence;
}

const read = ({ companyNo, numberNo }: Fence) =>
  readWppNumber(world.worker, world.test.keyring, companyNo, numberNo);
const set = (
  fence: Parameters<typeof setWppClient>[2],
  client: { apiKey: string; session: string },
) =>
  fencedTransaction(world.worker, fence, (tx) =>
    setWppClient(tx, world.test.keyring, fence, client),
  );

test("a client is sealed, makes its number linked, and is nobody else's", async () => {
  const [one, two] = [await wppNumber(), await wppNumber()];
  const client = { apiKey: KEY, session: "0000000000001" };
  assert.equal((await read(one))?.client, null);
  await fencedTransaction(world.worker, one, (tx) =>
    noteWppOrganisation(tx, one, "c__wpp__1a2b3c4d"),
  );
  await set(one, client);
  const stored = await read(one);
  assert.deepEqual([stored?.client, stored?.subOrgId], [client, "c__wpp__1a2b3c4d"]);
  const { rows } = await world.superuser.query<{ row: string }>(
    "select to_jsonb(n)::text || encode(n.secrets, 'escape') as row from numbers n where number_no = $1",
    [one.numberNo],
  );
  assert.ok(rows.length === 1 && !rows[0]?.row.includes(KEY));
  const seen = await world.superuser.query<{ number_id: string }>(
    "select number_id from numbers where number_no = $1",
    [one.numberNo],
  );
  const row = await getNumber(world.platform, one.companyNo, String(seen.rows[0]?.number_id));
  assert.deepEqual([row?.isLinked, row?.isActive], [true, true]);

  assert.equal(await isWppClientTaken(world.worker, one.numberNo, client), false);
  for (const clash of [
    { apiKey: KEY, session: "0000000000002" },
    { apiKey: "k_another_00000000000000001", session: "0000000000001" },
  ]) {
    assert.equal(await isWppClientTaken(world.worker, two.numberNo, clash), true);
    await assert.rejects(set(two, clash), { code: "23505" });
    assert.equal((await read(two))?.client, null);
  }
});

test("a stale session counts for none, in however many rows it is", async () => {
  for (const number of [await wppNumber(), await wppNumber()]) {
    await world.superuser.query(
      `update numbers set secrets = 'x', settings = '{"wppAccountNumber":"client_system"}' where number_no = $1`,
      [number.numberNo],
    );
    const stored = await read(number);
    assert.deepEqual([stored?.client, stored?.isStale], [null, true]);
  }
});

test("the view of the first design shows its own company's numbers, and no key", async () => {
  const number = await wppNumber();
  await set(number, { apiKey: "k_view_00000000000000000001", session: "0000000000009" });
  const { rows } = await world.superuser.query<Record<string, unknown>>(
    "select * from messenger_integrations where company_no = $1",
    [number.companyNo],
  );
  const [row] = rows;
  assert.deepEqual(
    [row?.["messenger_type"], row?.["provider"], row?.["is_primary"], row?.["settings"]],
    ["whatsapp", "wpp", true, { wppAccountNumber: "0000000000009" }],
  );
  assert.match(String(row?.["webhook_key"]), /^[0-9a-f-]{36}$/);
});
