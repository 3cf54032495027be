/** Keys, handlers and names of flows: each company's own, sealed, and of no use to another. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  addFlowKey,
  currentFlowKey,
  type Database,
  endFlowKey,
  findFlow,
  type FlowRow,
  listFlowKeys,
  listSharedFlows,
  listTenantFlows,
  lockFlowKeys,
  openFlowToken,
  putFlowHandler,
  putSharedFlow,
  putTenantFlow,
  readFlowDesk,
  readFlowHandler,
  removeFlowHandler,
  removeSharedFlow,
  removeTenantFlow,
  sealFlowToken,
  withCompany,
} from "../src/index.ts";
import { addCompany, openWorld, type World } from "./support.ts";

let world: World;
let ingest: Database;
before(async () => {
  world = await openWorld();
  ingest = world.open("ingest");
});
after(() => world[Symbol.asyncDispose]());

const PRIVATE = "the private part";
const desk = (companyId: string) => readFlowDesk(ingest, world.test.keyring, companyId);
const addKey = (companyNo: number, flowKeyId: string, overlapMs = 60_000) =>
  withCompany(world.app, companyNo, async (tx) => {
    await lockFlowKeys(tx, companyNo);
    const privateKey = Buffer.from(`${PRIVATE} of ${flowKeyId}`);
    const key = { flowKeyId, publicKey: `pem ${flowKeyId}`, fingerprint: flowKeyId, privateKey };
    await addFlowKey(tx, world.test.keyring, companyNo, key, overlapMs);
  });

test("a key is sealed, opens at the endpoint alone, and answers until its overlap ends", async () => {
  const { companyNo, companyId } = await addCompany(world);
  assert.deepEqual((await desk(companyId))?.keys, []);
  assert.equal(await currentFlowKey(world.worker, companyNo), undefined);
  await addKey(companyNo, "fky_a");
  await addKey(companyNo, "fky_b");
  await addKey(companyNo, "fky_c", -1);
  const keys = (await desk(companyId))?.keys ?? [];
  assert.deepEqual(
    keys.map(({ flowKeyId, privateKey }) => [flowKeyId, privateKey.toString()]),
    [
      ["fky_c", `${PRIVATE} of fky_c`],
      ["fky_a", `${PRIVATE} of fky_a`],
    ],
  );
  assert.equal((await currentFlowKey(world.worker, companyNo))?.publicKey, "pem fky_c");
  const end = (id: string) =>
    withCompany(world.app, companyNo, (tx) => endFlowKey(tx, companyNo, id));
  assert.deepEqual(
    [await end("fky_a"), await end("fky_a"), await end("fky_c")],
    [true, false, false],
  );
  const listed = await withCompany(world.app, companyNo, (tx) => listFlowKeys(tx, companyNo));
  assert.deepEqual(
    listed.map(({ flowKeyId, retiresAt }) => [flowKeyId, retiresAt]),
    [["fky_c", null]],
  );
  const { rows } = await world.superuser.query<{ row: string }>(
    "select encode(private_key, 'escape') as row from flow_keys",
  );
  assert.ok(rows.length === 3 && rows.every(({ row }) => !row.includes(PRIVATE)));
  await assert.rejects(
    withCompany(world.app, companyNo, (tx) =>
      tx.selectFrom("flowKeys").select("privateKey").execute(),
    ),
    /permission denied/,
  );
});

test("two keys asked for at the same time come one after the other", async () => {
  const { companyNo, companyId } = await addCompany(world);
  await Promise.all(["fky_1", "fky_2", "fky_3"].map((id) => addKey(companyNo, id)));
  const keys = (await desk(companyId))?.keys ?? [];
  assert.equal(keys.length, 3);
  assert.equal(keys.filter(({ retiresAt }) => retiresAt === null).length, 1);
});

test("a handler is NATS, or an address with a secret that lies there sealed", async () => {
  const { companyNo, companyId } = await addCompany(world);
  assert.deepEqual((await desk(companyId))?.handler, { kind: "nats" });
  const put = (handler: Parameters<typeof putFlowHandler>[3]) =>
    withCompany(world.app, companyNo, (tx) =>
      putFlowHandler(tx, world.test.keyring, companyNo, handler),
    );
  const handler = { kind: "https", url: "https://example.com/f", secret: "whsec_x" } as const;
  await put(handler);
  assert.deepEqual((await desk(companyId))?.handler, handler);
  const stored = await withCompany(world.app, companyNo, (tx) => readFlowHandler(tx, companyNo));
  assert.deepEqual(stored, { kind: "https", url: handler.url });
  const { rows } = await world.superuser.query<{ secret: string }>(
    "select encode(secret, 'escape') as secret from flow_handlers",
  );
  assert.ok(rows.length === 1 && !rows[0]?.secret.includes("whsec"));
  await put({ kind: "nats" });
  assert.deepEqual((await desk(companyId))?.handler, { kind: "nats" });
  const remove = () => withCompany(world.app, companyNo, (tx) => removeFlowHandler(tx, companyNo));
  assert.deepEqual([await remove(), await remove()], [true, false]);
  assert.equal(await desk("nobody"), undefined);
});

test("a name stands for the company's own flow, else for the one of all", async () => {
  const [one, other] = [await addCompany(world), await addCompany(world)];
  const flow = (flowId: string): FlowRow => ({
    name: "booking",
    flowId,
    action: "navigate",
    screen: "FIRST",
  });
  const find = async ({ companyNo }: { companyNo: number }) =>
    (await findFlow(world.worker, companyNo, "booking"))?.flowId;
  const ofOne = <T>(work: (tx: Parameters<typeof putTenantFlow>[0]) => Promise<T>) =>
    withCompany(world.app, one.companyNo, work);
  assert.equal(await find(one), undefined);
  await putSharedFlow(world.platform, flow("100"));
  await ofOne((tx) => putTenantFlow(tx, one.companyNo, flow("1")));
  await ofOne((tx) => putTenantFlow(tx, one.companyNo, flow("2")));
  assert.deepEqual([await find(one), await find(other)], ["2", "100"]);
  assert.deepEqual(await ofOne((tx) => listTenantFlows(tx, one.companyNo)), [flow("2")]);
  assert.deepEqual(await listSharedFlows(world.platform), [flow("100")]);
  assert.equal(await ofOne((tx) => removeTenantFlow(tx, one.companyNo, "booking")), true);
  assert.equal(await find(one), "100");
  assert.equal(await removeSharedFlow(world.platform, "booking"), true);
  assert.equal(await find(one), undefined);
  await assert.rejects(
    ofOne((tx) => putTenantFlow(tx, other.companyNo, flow("3"))),
    /row-level security/,
  );
});

test("a token says whose it is to its company alone, and until it expires", async () => {
  const [one, other] = [await addCompany(world), await addCompany(world)];
  const { keyring } = world.test;
  const mine = await keyring.sealer(ingest, one.companyNo);
  const theirs = await keyring.sealer(ingest, other.companyNo);
  const facts = {
    numberId: `num_${"0".repeat(32)}`,
    messageId: `msg_${"1".repeat(32)}`,
    flow: "booking",
    expiresAt: new Date("2026-11-21T12:00:00Z"),
  };
  const token = sealFlowToken(mine, facts);
  assert.ok(token.length < 256, `${token.length} characters`);
  assert.ok(!token.includes("num_"));
  const early = new Date("2026-11-21T11:59:59Z");
  assert.deepEqual(openFlowToken(mine, token, early), facts);
  assert.equal(openFlowToken(mine, token, facts.expiresAt), undefined);
  assert.equal(openFlowToken(theirs, token, early), undefined);
  for (const wrong of [`${token.slice(0, -3)}AAA`, "flt_", "flt_!!", "unused", token.slice(4)]) {
    assert.equal(openFlowToken(mine, wrong, early), undefined, wrong);
  }
});
