import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { newCommandId, newJobId } from "@manyline/contracts";
import {
  cancelJob,
  claimCommands,
  createJob,
  type Fence,
  fencedTransaction,
  finishCommand,
  getCommand,
  getJob,
  inTransaction,
  type JobKind,
  listJobItems,
  listJobs,
  removeNumber,
  runningJobs,
  setNumberStatus,
  settleJobItems,
  startJobItems,
  updateCompany,
  updateNumber,
  withCompany,
  writeAuth,
} from "../src/index.ts";
import { addCompany, addNumber, openWorld, ownedNumber, takeAll, type World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
afterEach(async () => {
  await world.superuser.query("delete from jobs");
  await world.superuser.query("delete from companies");
  await world.superuser.query("update shard_leases set owner = null, expires_at = null");
});
after(() => world[Symbol.asyncDispose]());

type Owned = Awaited<ReturnType<typeof ownedNumber>>;

async function link({ fence }: Owned): Promise<void> {
  await writeAuth(world.worker, world.test.keyring, fence, { creds: Buffer.from("{}") });
}

async function connect({ fence }: Owned): Promise<void> {
  await fencedTransaction(world.worker, fence, (tx) =>
    setNumberStatus(tx, fence, { status: "connected", reason: "open", since: new Date() }),
  );
}

async function linked(): Promise<Owned> {
  const owned = await ownedNumber(world);
  await link(owned);
  return owned;
}

const create = (kind: JobKind, companyNos?: number[]) =>
  inTransaction(world.platform, (tx) =>
    createJob(tx, {
      jobId: newJobId(),
      kind,
      perSecond: 5,
      createdBy: "token:test",
      ...(companyNos === undefined ? {} : { companyNos }),
    }),
  );
const start = (jobId: string, limit = 100) =>
  inTransaction(world.platform, (tx) => startJobItems(tx, jobId, limit, newCommandId));
const items = async (jobId: string) =>
  (await listJobItems(world.platform, jobId, { limit: 100 })).map(
    ({ numberNo, state, reason }) => [numberNo, state, reason] as const,
  );

/** What the owner does with its commands. */
async function answer(fence: Fence, outcome: Parameters<typeof finishCommand>[2]): Promise<void> {
  const { rows } = await world.superuser.query<{ shard_id: number; owner: string }>(
    "select shard_id, owner from companies join shard_leases using (shard_id) where company_no = $1",
    [fence.companyNo],
  );
  const { shard_id: shardId = 0, owner: workerId = "" } = rows[0] ?? {};
  const limits = { limit: 100, perNumber: 10 };
  await claimCommands(world.worker, { workerId, shardIds: [shardId] }, limits);
  const open = await world.superuser.query<{ command_id: string }>(
    "select command_id from commands where number_no = $1 and state = 'claimed'",
    [fence.numberNo],
  );
  const commandId = open.rows[0]?.command_id ?? "";
  await fencedTransaction(world.worker, fence, (tx) => finishCommand(tx, commandId, outcome));
}

describe("which numbers a job is for", () => {
  test("reconnect: linked, wished connected, of an enabled company, and not connected now", async () => {
    const due = await linked();
    const connected = await linked();
    await connect(connected);
    await ownedNumber(world);
    const unwished = await linked();
    await inTransaction(world.platform, (tx) =>
      updateNumber(tx, unwished.fence.companyNo, unwished.fence.numberNo, {
        desiredState: "disconnected",
      }),
    );
    const disabled = await linked();
    await updateCompany(world.platform, disabled.fence.companyNo, { whatsappEnabled: false });
    const job = await create("reconnect");
    assert.deepEqual(await items(job.jobId), [[due.fence.numberNo, "waiting", null]]);
    assert.deepEqual(
      [job.state, job.total, job.waiting, job.perSecond, job.createdBy, job.finishedAt],
      ["running", 1, 1, 5, "token:test", null],
    );
    // Stored as connected, but nobody owns it: not connected.
    await world.superuser.query("update shard_leases set expires_at = now() - interval '1 s'");
    assert.deepEqual(await items((await create("reconnect")).jobId), [
      [connected.fence.numberNo, "waiting", null],
    ]);
  });

  test("reconnect: what a former owner stored as connected is not connected", async () => {
    const number = await linked();
    await connect(number);
    assert.deepEqual(await items((await create("reconnect")).jobId), []);
    await world.superuser.query("update shard_leases set epoch = epoch + 1");
    assert.deepEqual(await items((await create("reconnect")).jobId), [
      [number.fence.numberNo, "waiting", null],
    ]);
  });

  test("pair: without credentials; the phone of the number, the primary's of the company, else it is asked for", async () => {
    await linked();
    const own = await ownedNumber(world);
    const { companyNo } = own.fence;
    await inTransaction(world.platform, (tx) =>
      updateNumber(tx, companyNo, own.fence.numberNo, { phone: "79001234567" }),
    );
    const ofCompany = await ownedNumber(world);
    await updateCompany(world.platform, ofCompany.fence.companyNo, { phone: "79007654321" });
    const second = await addNumber(world, ofCompany.fence.companyNo);
    await takeAll(world, "w1");
    const job = await create("pair");
    const sent = await start(job.jobId);
    assert.equal(sent.length, 3);
    const commands = await Promise.all(
      sent.map(({ commandId }) => getCommand(world.platform, commandId)),
    );
    assert.deepEqual(
      commands.map((one) => [one?.numberNo, one?.verb, one?.args]),
      [
        [own.fence.numberNo, "pair_code", { phone: "79001234567" }],
        [ofCompany.fence.numberNo, "pair_code", { phone: "79007654321" }],
        [second.numberNo, "ask_phone", {}],
      ],
    );
    assert.equal(sent[0]?.shardId, own.number.shardId);
    assert.ok((commands[0]?.deadlineAt.getTime() ?? 0) > Date.now() + 20_000);
  });

  test("named companies only, and not what another job of the kind has before it", async () => {
    const a = await linked();
    const b = await linked();
    const c = await linked();
    const first = await create("reconnect", [a.fence.companyNo, b.fence.companyNo]);
    assert.equal(first.total, 2);
    const second = await create("reconnect");
    assert.deepEqual(await items(second.jobId), [[c.fence.numberNo, "waiting", null]]);
    const third = await create("reconnect", [a.fence.companyNo]);
    assert.deepEqual([third.total, third.state, third.finishedAt === null], [0, "done", false]);
    assert.deepEqual(
      (await listJobs(world.platform, { limit: 2 })).map(({ jobId }) => jobId),
      [third.jobId, second.jobId],
    );
    assert.deepEqual(
      (await listJobs(world.platform, { limit: 5, before: second.jobId })).map((one) => one.jobId),
      [first.jobId],
    );
    assert.deepEqual(
      (await runningJobs(world.platform)).map(({ jobId }) => jobId),
      [first.jobId, second.jobId],
    );
  });
});

describe("a job's course", () => {
  test("so many at a time, as the caller paces it; two runners at once send nothing twice", async () => {
    for (let count = 0; count < 10; count += 1) await linked();
    const { jobId } = await create("reconnect");
    assert.equal((await start(jobId, 2)).length, 2);
    const both = await Promise.all([start(jobId, 4), start(jobId, 4)]);
    const sent = both.flat().map(({ numberNo }) => numberNo);
    assert.equal(new Set(sent).size, sent.length);
    const rest = await start(jobId);
    assert.equal(sent.length + rest.length, 8);
    assert.deepEqual(await start(jobId), []);
    const { rows } = await world.superuser.query<{ count: string }>(
      "select count(*) from commands where verb = 'reconnect'",
    );
    assert.equal(rows[0]?.count, "10");
  });

  test("results are noted; when nothing waits and nothing is unanswered the job is done", async () => {
    const [good, bad, slow, gone] = [
      await linked(),
      await linked(),
      await linked(),
      await linked(),
    ];
    const { jobId } = await create("reconnect");
    await start(jobId);
    await answer(good.fence, { state: "done", result: {} });
    await answer(bad.fence, { state: "failed", error: { code: "COMPANY_DISABLED" } });
    await inTransaction(world.platform, (tx) =>
      removeNumber(tx, gone.fence.companyNo, gone.fence.numberNo),
    );
    await settleJobItems(world.platform, jobId);
    const half = await getJob(world.platform, jobId);
    assert.deepEqual(
      [half?.state, half?.total, half?.sent, half?.done, half?.failed],
      ["running", 3, 1, 1, 1],
    );
    await world.superuser.query(
      "update commands set deadline_at = now() - interval '1 s' where finished_at is null",
    );
    await claimCommands(world.worker, { workerId: "w1", shardIds: [] }, { limit: 1, perNumber: 1 });
    await settleJobItems(world.platform, jobId);
    assert.deepEqual(await items(jobId), [
      [good.fence.numberNo, "done", null],
      [bad.fence.numberNo, "failed", "COMPANY_DISABLED"],
      [slow.fence.numberNo, "failed", "deadline"],
    ]);
    const job = await getJob(world.platform, jobId);
    assert.equal(job?.state, "done");
    assert.ok(job?.finishedAt);
    assert.deepEqual(await runningJobs(world.platform), []);
    assert.deepEqual(
      await listJobItems(world.platform, jobId, {
        state: "failed",
        after: bad.fence.numberNo,
        limit: 5,
      }).then((found) => found.map(({ numberNo }) => numberNo)),
      [slow.fence.numberNo],
    );
  });

  test("what needs nothing any more is skipped and takes no place; without an owner it waits on", async () => {
    const meanwhile = [await linked(), await linked()];
    const due = await linked();
    const { jobId } = await create("reconnect");
    for (const one of meanwhile) await connect(one);
    await world.superuser.query("update shard_leases set expires_at = now() - interval '1 s'");
    assert.deepEqual(await start(jobId, 1), []);
    assert.equal((await getJob(world.platform, jobId))?.waiting, 3);
    await world.superuser.query("update shard_leases set expires_at = now() + interval '1 min'");
    const sent = await start(jobId, 1);
    assert.deepEqual(
      sent.map(({ numberNo }) => numberNo),
      [due.fence.numberNo],
    );
    assert.deepEqual(
      (await items(jobId)).map(([, state, reason]) => [state, reason]),
      [
        ["skipped", "connected"],
        ["skipped", "connected"],
        ["sent", null],
      ],
    );
  });

  test("cancelled: what waits is skipped, what was sent is answered, then it is finished", async () => {
    const [first] = [await linked(), await linked(), await linked()];
    assert.ok(first);
    const { jobId } = await create("reconnect");
    await start(jobId, 1);
    const cancel = () => inTransaction(world.platform, (tx) => cancelJob(tx, jobId));
    assert.equal(await cancel(), true);
    assert.equal(await cancel(), false);
    const cancelled = await getJob(world.platform, jobId);
    assert.deepEqual(
      [cancelled?.state, cancelled?.sent, cancelled?.skipped, cancelled?.finishedAt],
      ["cancelled", 1, 2, null],
    );
    assert.deepEqual(await start(jobId), []);
    assert.equal((await runningJobs(world.platform)).length, 1);
    await answer(first.fence, { state: "done", result: {} });
    await settleJobItems(world.platform, jobId);
    const ended = await getJob(world.platform, jobId);
    assert.deepEqual(
      [ended?.state, ended?.done, ended?.finishedAt === null],
      ["cancelled", 1, false],
    );
    assert.deepEqual((await items(jobId)).map(([, state, reason]) => [state, reason]).slice(1), [
      ["skipped", "cancelled"],
      ["skipped", "cancelled"],
    ]);
  });
});

test("jobs are the platform's alone", async () => {
  const { companyNo } = await addCompany(world);
  for (const table of ["jobs", "job_items"]) {
    for (const db of [world.app, world.worker, world.relay]) {
      await assert.rejects(
        db
          .selectFrom(table as "jobs")
          .selectAll()
          .execute(),
        /permission denied/,
      );
    }
  }
  await assert.rejects(
    withCompany(world.app, companyNo, (tx) =>
      createJob(tx, { jobId: newJobId(), kind: "pair", perSecond: 1, createdBy: "x" }),
    ),
    /permission denied/,
  );
});
