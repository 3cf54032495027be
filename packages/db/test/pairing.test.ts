import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newAttemptId } from "@manyline/contracts";
import {
  endOrphanAttempts,
  eraseExpiredSecrets,
  type Fence,
  fencedTransaction,
  insertAttempt,
  isWatched,
  liveAttempt,
  readAttempt,
  readAttemptSecret,
  updateAttempt,
  type AttemptPatch,
  watchedUntil,
  watchPairing,
  withCompany,
} from "../src/index.ts";
import { openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const inMs = (ms: number): Date => new Date(Date.now() + ms);

async function start(fence: Fence): Promise<string> {
  const attemptId = newAttemptId();
  await fencedTransaction(world.worker, fence, (tx) =>
    insertAttempt(tx, fence, { attemptId, method: "qr", state: "starting", phone: null, max: 3 }),
  );
  return attemptId;
}

async function update(fence: Fence, attemptId: string, patch: AttemptPatch) {
  return fencedTransaction(world.worker, fence, (tx) =>
    updateAttempt(tx, world.test.keyring, fence, attemptId, patch),
  );
}

async function readSecret(fence: Fence, attemptId: string) {
  return withCompany(world.app, fence.companyNo, (tx) =>
    readAttemptSecret(tx, world.test.keyring, fence.companyNo, attemptId),
  );
}

async function stored(attemptId: string): Promise<Buffer | null> {
  const { rows } = await world.superuser.query<{ secret: Buffer | null }>(
    "select secret from pairing_attempts where attempt_id = $1",
    [attemptId],
  );
  return rows[0]?.secret ?? null;
}

test("an attempt from QR to code to its end", async () => {
  const { fence } = await ownedNumber(world);
  const attemptId = await start(fence);
  const qr = await update(fence, attemptId, {
    state: "qr",
    k: 1,
    issuedAt: inMs(0),
    expiresAt: inMs(60_000),
    secret: { kind: "qr", value: "2@QRTEXT,a,b,c" },
  });
  assert.deepEqual([qr?.state, qr?.k, qr?.hasSecret], ["qr", 1, true]);
  assert.equal((await readSecret(fence, attemptId))?.value, "2@QRTEXT,a,b,c");
  assert.equal((await stored(attemptId))?.includes("QRTEXT"), false, "sealed at rest");

  const expiresAt = inMs(60_000);
  await update(fence, attemptId, {
    method: "code",
    state: "code",
    phone: "79001234567",
    switched: true,
    codesLeft: 4,
    expiresAt,
    secret: { kind: "code", value: "ABCDEFGH" },
  });
  assert.deepEqual(await readSecret(fence, attemptId), {
    kind: "code",
    value: "ABCDEFGH",
    expiresAt,
  });
  const live = await liveAttempt(world.worker, fence.companyNo, fence.numberNo);
  assert.deepEqual(
    [live?.attemptId, live?.method, live?.phone, live?.switched, live?.codesLeft, live?.endedAt],
    [attemptId, "code", "79001234567", true, 4, null],
  );

  const ended = await update(fence, attemptId, { state: "ended", outcome: "succeeded" });
  assert.equal(ended?.hasSecret, false);
  assert.ok(ended?.endedAt);
  assert.equal(await stored(attemptId), null, "erased with the end");
  assert.equal(await readSecret(fence, attemptId), undefined);
  assert.equal(await update(fence, attemptId, { state: "code" }), undefined, "an end is final");
  assert.equal(await liveAttempt(world.worker, fence.companyNo, fence.numberNo), undefined);
  assert.equal((await readAttempt(world.worker, attemptId))?.outcome, "succeeded");
});

test("one attempt is live per number", async () => {
  const { fence } = await ownedNumber(world);
  const attemptId = await start(fence);
  await assert.rejects(start(fence), { code: "REQUEST_IN_PROGRESS" });
  await update(fence, attemptId, { state: "ended", outcome: "replaced" });
  await start(fence);
});

test("a secret is not given past its time, nor to another company, and is erased without its owner", async () => {
  const { fence } = await ownedNumber(world);
  const other = await ownedNumber(world);
  const attemptId = await start(fence);
  await update(fence, attemptId, {
    state: "code",
    expiresAt: inMs(60_000),
    secret: { kind: "code", value: "ABCDEFGH" },
  });
  const foreign = await withCompany(world.app, other.fence.companyNo, (tx) =>
    readAttemptSecret(tx, world.test.keyring, fence.companyNo, attemptId),
  );
  assert.equal(foreign, undefined);
  assert.equal(await eraseExpiredSecrets(world.worker), 0);
  await world.superuser.query(
    "update pairing_attempts set expires_at = now() - interval '1 ms' where attempt_id = $1",
    [attemptId],
  );
  assert.equal(await readSecret(fence, attemptId), undefined);
  assert.ok(await stored(attemptId));
  assert.equal(await eraseExpiredSecrets(world.worker), 1);
  assert.equal(await stored(attemptId), null);
  assert.equal((await liveAttempt(world.worker, fence.companyNo, fence.numberNo))?.state, "code");
});

test("what a crashed owner left behind is ended by the next, and no longer its to change", async () => {
  const { fence } = await ownedNumber(world);
  const attemptId = await start(fence);
  await update(fence, attemptId, {
    state: "code",
    expiresAt: inMs(60_000),
    secret: { kind: "code", value: "ABCDEFGH" },
  });
  const next = { ...fence, epoch: fence.epoch + 1 };
  await world.superuser.query("update number_fence set epoch = $1 where number_no = $2", [
    next.epoch,
    fence.numberNo,
  ]);
  await assert.rejects(update(fence, attemptId, { state: "linking" }), { name: "FencedError" });
  assert.equal(await update(next, attemptId, { state: "linking" }), undefined);
  const end = () => fencedTransaction(world.worker, next, (tx) => endOrphanAttempts(tx, next));
  const [orphan] = await end();
  assert.deepEqual(
    [orphan?.attemptId, orphan?.outcome, orphan?.errorCode, orphan?.hasSecret],
    [attemptId, "failed", "UNAVAILABLE", false],
  );
  assert.deepEqual(await end(), []);
});

test("a worker cannot write attempts of a number whose fence it does not hold", async () => {
  const { fence } = await ownedNumber(world);
  const other = await ownedNumber(world);
  await assert.rejects(
    fencedTransaction(world.worker, other.fence, (tx) =>
      insertAttempt(tx, fence, {
        attemptId: newAttemptId(),
        method: "qr",
        state: "starting",
        phone: null,
        max: 3,
      }),
    ),
    /row-level security/,
  );
});

test("watching is written at most once in a third of its time", async () => {
  const { fence } = await ownedNumber(world);
  const watch = () =>
    withCompany(world.app, fence.companyNo, (tx) =>
      watchPairing(tx, fence.companyNo, fence.numberNo),
    );
  assert.equal(await isWatched(world.worker, fence.numberNo), false);
  await watch();
  const until = async () =>
    (await watchedUntil(world.worker, [fence.numberNo])).get(fence.numberNo);
  const first = await until();
  const ahead = (first?.getTime() ?? 0) - Date.now();
  assert.ok(ahead > 28_000 && ahead <= 30_500, `${ahead} ms`);
  await watch();
  assert.deepEqual(await until(), first, "fresh enough: nothing is written");
  const pass = (seconds: number) =>
    world.superuser.query(
      "update pairing_watch set until = until - $1 * interval '1 s' where number_no = $2",
      [seconds, fence.numberNo],
    );
  await pass(11);
  await watch();
  assert.ok(((await until())?.getTime() ?? 0) >= (first?.getTime() ?? Infinity));
  await pass(31);
  assert.equal(await isWatched(world.worker, fence.numberNo), false);
});
