import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { newAttemptId } from "@manyline/contracts";
import { type KyselyPlugin, sql } from "kysely";
import {
  fencedTransaction,
  hashPhone,
  insertAttempt,
  listSessions,
  raiseFences,
  readStatus,
  setHealth,
  setNumberStatus,
  setNumberStatuses,
  spendPairingCode,
  updateAttempt,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, ownedNumber, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const read = (companyNo: number, numberNo: number) =>
  withCompany(world.app, companyNo, (tx) => readStatus(tx, companyNo, numberNo));

const limits = { perHour: 5, windowMs: 3_600_000, cooldownMs: 1_800_000 };

async function spend(companyNo: number, times: number): Promise<void> {
  for (let count = 0; count < times; count += 1) {
    const phoneHash = hashPhone(`${companyNo} ${count}`, world.test.keyring.pepper);
    await spendPairingCode(world.worker, { companyNo, phoneHash, limits });
  }
}

test("a number nobody owns, which never asked for anything", async () => {
  const { companyNo, companyId } = await addCompany(world);
  const { numberNo, numberId } = await addNumber(world, companyNo);
  await world.superuser.query("update shard_leases set owner = null, expires_at = null");
  const row = await read(companyNo, numberNo);
  assert.equal(row?.number.numberId, numberId);
  assert.deepEqual([row?.number.status, row?.number.reason], ["disconnected", "not_linked"]);
  assert.equal(row?.number.isLinked, false);
  assert.equal(row?.company.companyId, companyId);
  assert.ok(row?.company.createdAt instanceof Date);
  assert.deepEqual(
    [row?.attempt, row?.hasOwner, row?.blockedUntil, row?.codesLeft, row?.health],
    [undefined, false, null, 5, { reconnectAttempts: 0, lastSeenAt: null }],
  );
  assert.ok(Math.abs((row?.dbNow.getTime() ?? 0) - Date.now()) < 5_000);
  assert.equal(await read(companyNo, 999_999), undefined);
});

test("since when a shard has no owner: its release, else the end of its lease", async () => {
  const { fence } = await ownedNumber(world);
  const since = async () => {
    const row = await read(fence.companyNo, fence.numberNo);
    const listed = await listSessions(world.platform, { companyNo: fence.companyNo, limit: 1 });
    assert.deepEqual(listed[0]?.ownerlessSince, row?.ownerlessSince, "the list says the same");
    return row?.ownerlessSince;
  };
  const change = async (sets: string): Promise<Date | null> => {
    const { rows } = await world.superuser.query<{ expiresAt: Date; releasedAt: Date }>(
      `update shard_leases set ${sets} where shard_id = (select shard_id from companies where company_no = $1)
        returning expires_at as "expiresAt", released_at as "releasedAt"`,
      [fence.companyNo],
    );
    return rows[0]?.releasedAt ?? rows[0]?.expiresAt ?? null;
  };
  assert.equal(await since(), null);
  const ranOut = await change("expires_at = now() - interval '7 s', released_at = null");
  assert.deepEqual(await since(), ranOut);
  assert.ok(ranOut !== null);
  const released = await change(
    "owner = null, expires_at = null, released_at = now() - interval '3 s'",
  );
  assert.deepEqual(await since(), released);
  assert.ok(released !== null && released > ranOut);
  await change("released_at = null");
  assert.equal(await since(), null, "nobody ever had it");
});

test("it is one query", async () => {
  const { companyNo } = await addCompany(world);
  const { numberNo } = await addNumber(world, companyNo);
  let statements = 0;
  const counter: KyselyPlugin = {
    transformQuery: ({ node }) => {
      statements += 1;
      return node;
    },
    transformResult: async ({ result }) => result,
  };
  await readStatus(world.platform.withPlugin(counter), companyNo, numberNo);
  assert.equal(statements, 1);
});

test("status, health and the live attempt of an owned number; nothing of a sibling", async () => {
  const { fence, company } = await ownedNumber(world);
  const sibling = await addNumber(world, company.companyNo);
  const since = new Date();
  const attemptId = newAttemptId();
  const previous = await fencedTransaction(world.worker, fence, async (tx) => {
    await insertAttempt(tx, fence, {
      attemptId,
      method: "qr",
      state: "starting",
      phone: null,
      max: 3,
    });
    await setHealth(tx, fence, { status: "connecting", reconnectAttempts: 2, lastSeenAt: since });
    return setNumberStatus(tx, fence, { status: "connecting", reason: "pairing", since });
  });
  assert.deepEqual(previous, { previousStatus: "disconnected", previousReason: "not_linked" });
  const row = await read(fence.companyNo, fence.numberNo);
  assert.deepEqual(
    [row?.number.status, row?.number.reason, row?.number.since],
    ["connecting", "pairing", since],
  );
  assert.deepEqual([row?.attempt?.attemptId, row?.attempt?.state], [attemptId, "starting"]);
  assert.ok(row?.attempt?.startedAt instanceof Date);
  assert.deepEqual(
    [row?.hasOwner, row?.health],
    [true, { reconnectAttempts: 2, lastSeenAt: since }],
  );
  const other = await read(fence.companyNo, sibling.numberNo);
  assert.deepEqual([other?.attempt, other?.number.status], [undefined, "disconnected"]);
});

test("an ended attempt is shown for an hour, a live one before it", async () => {
  const { fence } = await ownedNumber(world);
  const begin = async (): Promise<string> => {
    const attemptId = newAttemptId();
    await fencedTransaction(world.worker, fence, (tx) =>
      insertAttempt(tx, fence, { attemptId, method: "qr", state: "starting", phone: null, max: 3 }),
    );
    return attemptId;
  };
  const first = await begin();
  await fencedTransaction(world.worker, fence, (tx) =>
    updateAttempt(tx, world.test.keyring, fence, first, { state: "ended", outcome: "unused" }),
  );
  const shown = async () => (await read(fence.companyNo, fence.numberNo))?.attempt;
  assert.deepEqual([(await shown())?.attemptId, (await shown())?.outcome], [first, "unused"]);
  const second = await begin();
  assert.equal((await shown())?.attemptId, second);
  await world.superuser.query(
    `update pairing_attempts set state = 'ended', outcome = 'unused', ended_at = now() - interval '61 min'
      where number_no = $1`,
    [fence.numberNo],
  );
  assert.equal(await shown(), undefined);
});

test("codes left, and the cooldown", async () => {
  const { fence } = await ownedNumber(world);
  await spend(fence.companyNo, 2);
  assert.equal((await read(fence.companyNo, fence.numberNo))?.codesLeft, 3);
  await world.superuser.query(
    `update whatsapp_rate_limits set spent_at[1] = now() - interval '61 min' where company_no = $1`,
    [fence.companyNo],
  );
  assert.equal((await read(fence.companyNo, fence.numberNo))?.codesLeft, 4);
  await spend(fence.companyNo, 5);
  const row = await read(fence.companyNo, fence.numberNo);
  assert.equal(row?.codesLeft, 0);
  assert.ok((row?.blockedUntil?.getTime() ?? 0) > Date.now() + 1_790_000);
});

test("health is written on change only", async () => {
  const { fence } = await ownedNumber(world);
  const seen = new Date("2026-01-01T00:00:00.000Z");
  const set = (more: { reconnectAttempts?: number; lastSeenAt?: Date } = {}) =>
    fencedTransaction(world.worker, fence, (tx) =>
      setHealth(tx, fence, {
        status: "connected",
        reconnectAttempts: 0,
        lastSeenAt: seen,
        ...more,
      }),
    );
  assert.deepEqual([await set(), await set()], [true, false]);
  assert.equal(await set({ lastSeenAt: new Date(seen.getTime() + 59_000) }), false);
  assert.equal(await set({ lastSeenAt: new Date(seen.getTime() + 61_000) }), true);
  assert.equal(await set({ reconnectAttempts: 1 }), true);
});

type ConnectionStatus = {
  companyId: string;
  currentStatus: string;
  reason: string;
  overallHealth: string;
  healthScore: number;
  reconnectAttempts: number;
  pairingAttempts: number;
  blockedUntil: Date | null;
};

async function view(companyNo: number): Promise<ConnectionStatus[]> {
  return withCompany(world.app, companyNo, async (tx) => {
    const result = await sql<ConnectionStatus>`select * from whatsapp_connection_status`.execute(
      tx,
    );
    return result.rows;
  });
}

test("the view whatsapp_connection_status tells the same, for the own company only", async () => {
  const { fence, company } = await ownedNumber(world);
  await addNumber(world, company.companyNo);
  const [row, ...more] = await view(company.companyNo);
  assert.deepEqual(more, [], "one row per company: its primary number");
  assert.deepEqual(
    [row?.companyId, row?.currentStatus, row?.reason, row?.overallHealth, row?.healthScore],
    [company.companyId, "disconnected", "not_linked", "unknown", 60],
  );
  await spend(company.companyNo, 6);
  assert.deepEqual(
    await view(company.companyNo).then(([r]) => [r?.currentStatus, r?.reason, r?.overallHealth]),
    ["blocked", "rate_limited", "blocked"],
  );
  // A linked number is never blocked.
  await writeAuth(world.worker, world.test.keyring, fence, { creds: Buffer.from("c") });
  await fencedTransaction(world.worker, fence, async (tx) => {
    await setNumberStatus(tx, fence, { status: "connected", reason: "open", since: new Date() });
    await setHealth(tx, fence, { status: "connected", reconnectAttempts: 1, lastSeenAt: null });
  });
  const [connected] = await view(company.companyNo);
  assert.deepEqual(
    [connected?.currentStatus, connected?.overallHealth, connected?.healthScore],
    ["connected", "healthy", 90],
  );
  await world.superuser.query("update shard_leases set expires_at = now() - interval '1 s'");
  const [orphan] = await view(company.companyNo);
  assert.deepEqual([orphan?.currentStatus, orphan?.reason], ["disconnected", "no_owner"]);
});

test("connected is the word of the owner who wrote it: a new epoch ends it until it is written again", async () => {
  const { fence, number } = await ownedNumber(world);
  const { companyNo, numberNo } = fence;
  await writeAuth(world.worker, world.test.keyring, fence, { creds: Buffer.from("c") });
  const take = async (workerId: string): Promise<Date | undefined> => {
    const { rows } = await world.superuser.query<{ claimedAt: Date }>(
      `update shard_leases set owner = $1, epoch = epoch + 1, claimed_at = clock_timestamp(),
        expires_at = now() + interval '1 min' where shard_id = $2 returning claimed_at as "claimedAt"`,
      [workerId, number.shardId],
    );
    return rows[0]?.claimedAt;
  };
  /** Whether it is believed where it is read for a company, in the list, and what the view says. */
  const seen = async () => {
    const row = await read(companyNo, numberNo);
    const [listed] = await listSessions(world.platform, { companyNo, limit: 1 });
    const [viewed] = await view(companyNo);
    assert.equal(row?.number.status, "connected", "what is stored stays");
    assert.deepEqual(listed?.ownerSince, row.ownerSince);
    const said = `${viewed?.currentStatus}/${viewed?.reason} ${viewed?.overallHealth}`;
    return [row.number.isOwnersWord, listed?.isOwnersWord, said];
  };
  const change = { status: "connected", reason: "open", since: new Date() } as const;
  const write = (epoch: number) =>
    fencedTransaction(world.worker, { ...fence, epoch }, (tx) =>
      setNumberStatuses(tx, [{ ...change, fence: { ...fence, epoch } }]),
    );
  await take("w1");
  await raiseFences(world.worker, number.shardId, fence.epoch + 1);
  await write(fence.epoch + 1);
  assert.deepEqual(await seen(), [true, true, "connected/open healthy"]);

  // Whoever took the shard may be frozen before it wrote anything, with or without raising the fences.
  const takenAt = await take("w2");
  assert.deepEqual(await seen(), [false, false, "connecting/opening unknown"]);
  assert.deepEqual((await read(companyNo, numberNo))?.ownerSince, takenAt);
  // What the former owner still writes before its fence is raised is no word of the new one.
  await write(fence.epoch + 1);
  assert.deepEqual(await seen(), [false, false, "connecting/opening unknown"]);
  await raiseFences(world.worker, number.shardId, fence.epoch + 2);
  assert.deepEqual(await seen(), [false, false, "connecting/opening unknown"]);
  await write(fence.epoch + 2);
  assert.deepEqual(await seen(), [true, true, "connected/open healthy"]);

  // Nobody's word: without a fence, by hand.
  await world.superuser.query("update numbers set status = status where number_no = $1", [
    numberNo,
  ]);
  assert.deepEqual(await seen(), [false, false, "connecting/opening unknown"]);
  await write(fence.epoch + 2);
  await world.superuser.query("update shard_leases set expires_at = now() - interval '1 s'");
  assert.deepEqual(await seen(), [false, false, "disconnected/no_owner unknown"]);
});

test("the view whatsapp_pairing_codes masks the phone and never shows a code", async () => {
  const { fence } = await ownedNumber(world);
  const attemptId = newAttemptId();
  await fencedTransaction(world.worker, fence, async (tx) => {
    await insertAttempt(tx, fence, {
      attemptId,
      method: "code",
      state: "requesting",
      phone: "79001234567",
      max: 3,
    });
    await updateAttempt(tx, world.test.keyring, fence, attemptId, {
      state: "code",
      issuedAt: new Date(),
      expiresAt: new Date(Date.now() + 60_000),
      secret: { kind: "code", value: "ABCDEFGH" },
    });
  });
  const codes = (companyNo: number) =>
    withCompany(world.app, companyNo, async (tx) => {
      const result = await sql<{
        phoneNumber: string;
        code: string | null;
        status: string;
      }>`select * from whatsapp_pairing_codes`.execute(tx);
      return result.rows.map(({ phoneNumber, code, status }) => ({ phoneNumber, code, status }));
    });
  const masked = { phoneNumber: "7900•••••67", code: null };
  assert.deepEqual(await codes(fence.companyNo), [{ ...masked, status: "pending" }]);
  const other = await addCompany(world);
  assert.deepEqual(await codes(other.companyNo), []);
  await fencedTransaction(world.worker, fence, (tx) =>
    updateAttempt(tx, world.test.keyring, fence, attemptId, {
      state: "ended",
      outcome: "succeeded",
    }),
  );
  assert.deepEqual(await codes(fence.companyNo), [{ ...masked, status: "used" }]);
});
