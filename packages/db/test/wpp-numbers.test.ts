import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Fence,
  fencedTransaction,
  findWppWebhookOwners,
  getNumber,
  inTransaction,
  isWppClientTaken,
  noteWppNews,
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

test("a webhook finds its number by the key alone, and its owner is told once that there is news", async () => {
  const ingest = world.open("ingest");
  const number = await wppNumber();
  const { webhookKey } = (await read(number)) ?? { webhookKey: "" };
  const session = "0000000000042";
  await set(number, { apiKey: "k_news_00000000000000000001", session });
  const unknown = ["00000000-0000-4000-8000-000000000000", "x", ""];
  const found = await inTransaction(ingest, async (tx) => {
    const owners = await findWppWebhookOwners(tx, [...unknown, webhookKey], { isHeld: true });
    assert.equal(typeof (await noteWppNews(tx, number, "session.qr")), "number");
    return owners;
  });
  assert.deepEqual(found.slice(0, 3), [undefined, undefined, undefined]);
  const { companyNo, numberNo, server } = found[3] ?? {};
  assert.deepEqual(
    [companyNo, numberNo, server, found[3]?.session, found[3]?.webhookKey],
    [number.companyNo, number.numberNo, "wpp_platform", session, webhookKey],
  );
  assert.equal(await noteWppNews(ingest, number, "session.qr"), undefined);
  assert.notEqual(await noteWppNews(ingest, number, "session.connected"), undefined);
  const { rows } = await world.superuser.query<{ event: string }>(
    "select args ->> 'event' as event from commands where number_no = $1 and verb = 'wpp_news' order by 1",
    [number.numberNo],
  );
  assert.deepEqual(
    rows.map(({ event }) => event),
    ["session.connected", "session.qr"],
  );
  await assert.rejects(ingest.selectFrom("commands").selectAll().execute());
});
