import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  type Database,
  fencedTransaction,
  type MetaAppInput,
  putMetaApp,
  readAccessToken,
  readMetaApp,
  readMetaNumber,
  removeMetaApp,
  setMetaActive,
  setMetaNumber,
  withCompany,
} from "../src/index.ts";
import { addMetaNumber } from "./meta-support.ts";
import { addCompany, openWorld, type World } from "./support.ts";

let world: World;
let ingest: Database;
before(async () => {
  world = await openWorld();
  ingest = world.open("ingest");
});
after(() => world[Symbol.asyncDispose]());

test("a company's app: the former secret counts for a while, and nothing lies there in clear", async () => {
  const { keyring } = world.test;
  const { companyNo, companyId } = await addCompany(world);
  const put = (input: Partial<MetaAppInput>, previousForMs?: number) =>
    withCompany(world.app, companyNo, (tx) =>
      putMetaApp(
        tx,
        keyring,
        companyNo,
        { appId: "1", appSecret: "s3cret-1", verifyToken: "verify-1", ...input },
        previousForMs,
      ),
    );
  const read = () => readMetaApp(ingest, keyring, companyId);
  assert.equal(await read(), undefined);
  await put({});
  await put({ verifyToken: "verify-2" });
  assert.deepEqual(await read(), {
    companyNo,
    companyId,
    appId: "1",
    secrets: ["s3cret-1"],
    verifyToken: "verify-2",
  });
  await put({ appSecret: "s3cret-2" });
  assert.deepEqual((await read())?.secrets, ["s3cret-2", "s3cret-1"]);
  await put({ appSecret: "s3cret-3" }, -1);
  assert.deepEqual((await read())?.secrets, ["s3cret-3"]);
  const { rows } = await world.superuser.query<{ row: string }>(
    "select encode(app_secret || previous_secret || verify_token, 'escape') as row from meta_apps",
  );
  assert.ok(rows.length === 1 && !/s3cret|verify/.test(rows[0]?.row ?? ""));
  assert.equal(await withCompany(world.app, companyNo, (tx) => removeMetaApp(tx, companyNo)), true);
  assert.equal(await read(), undefined);
});

test("a number is active when its owner says so, and no longer once it stands elsewhere", async () => {
  const { keyring } = world.test;
  const line = await addMetaNumber(world, { isActive: false });
  const rival = await addMetaNumber(world, {
    ...line,
    company: await addCompany(world),
    isActive: false,
  });
  const { companyNo, numberNo } = line.number;
  const activate = (number: typeof line.number) =>
    fencedTransaction(world.worker, { ...number, epoch: 0 }, (tx) =>
      setMetaActive(tx, { ...number, epoch: 0 }, true),
    );
  const set = (meta: { phoneNumberId?: string; accessToken?: string }) =>
    withCompany(world.app, companyNo, (tx) =>
      setMetaNumber(tx, keyring, line.number, { ...line, ...meta }),
    );
  const isActive = async () => (await readMetaNumber(world.worker, companyNo, numberNo))?.isActive;

  assert.equal(await isActive(), false);
  await activate(line.number);
  assert.equal(await isActive(), true);
  await assert.rejects(activate(rival.number), { code: "23505" });

  assert.equal(await set({ accessToken: "EAAtoken" }), true);
  assert.equal(await isActive(), true);
  assert.equal(await readAccessToken(world.worker, keyring, companyNo, numberNo), "EAAtoken");
  assert.equal(
    await readAccessToken(world.worker, keyring, rival.number.companyNo, rival.number.numberNo),
    undefined,
  );
  await set({ phoneNumberId: "other" });
  assert.equal(await isActive(), false);
  await activate(rival.number);
});
