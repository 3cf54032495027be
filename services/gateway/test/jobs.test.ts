import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Job, JobItem } from "@manyline/contracts";
import { listAudit, setNumberStatus } from "@manyline/db";
import { until } from "@manyline/testkit";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { JobRunner } from "../src/jobs/job-runner.ts";
import { Owner, numberNoOf } from "./owner.ts";
import type { Handler } from "./owner.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld } from "./support.ts";
import type { Answer, TestCompany, World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const PATH = "/api/whatsapp/jobs";
const isJob = Compile(Job);
const isItems = Compile(Type.Array(JobItem));
const succeed: Handler = () => ({ state: "done", result: {} });

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  return call(world, method, path, { token: ADMIN_TOKEN, body });
}

function jobIn(answer: Answer): Job {
  const { job } = answer.body;
  assert.ok(isJob.Check(job), JSON.stringify(answer.body));
  return job;
}

async function startJob(body: Record<string, unknown>): Promise<Job> {
  const answer = await ask("POST", PATH, body);
  assert.equal(answer.status, 202, JSON.stringify(answer.body));
  return jobIn(answer);
}

async function read(jobId: string): Promise<Job> {
  return jobIn(await ask("GET", `${PATH}/${jobId}`));
}

async function untilEnded(jobId: string): Promise<Job> {
  await until(async () => (await read(jobId)).state !== "running", { label: "the job's end" });
  return read(jobId);
}

async function items(jobId: string, query = ""): Promise<JobItem[]> {
  const found = (await ask("GET", `${PATH}/${jobId}/items${query}`)).body["items"];
  assert.ok(isItems.Check(found), JSON.stringify(isItems.Errors(found)));
  return found;
}

/** A company with linked numbers that are not connected; needs an owner of its shard, and leaves it none. */
async function disconnected(count: number): Promise<{ company: TestCompany; numberIds: string[] }> {
  const company = await addCompany(world);
  const numberIds: string[] = [];
  for (let i = 0; i < count; i += 1) numberIds.push(await addNumber(world, company));
  await using owner = await new Owner(world).start();
  for (const [index, numberId] of numberIds.entries()) {
    const numberNo = await numberNoOf(world, numberId);
    await owner.link(numberNo, `7900${String(numberNo).padStart(3, "0")}${index}000`);
    await owner.fenced(numberNo, (tx, fence) =>
      setNumberStatus(tx, fence, {
        status: "disconnected",
        reason: "reconnecting",
        since: new Date(),
      }),
    );
  }
  return { company, numberIds };
}

test("reconnect: a command for each linked number that is not connected; results become progress", async () => {
  const { company, numberIds } = await disconnected(3);
  await addNumber(world, company);
  const bad = await numberNoOf(world, numberIds[1] ?? "");
  await using owner = await new Owner(world).start((command) =>
    command.numberNo === bad
      ? { state: "failed", error: { code: "WHATSAPP_REFUSED" } }
      : { state: "done", result: {} },
  );
  const { id, ...started } = await startJob({ kind: "reconnect", companies: [company.id] });
  assert.equal(started.progress.total, 3, "the number that was never linked has nothing to do");
  assert.equal(started.perSecond, 5);
  assert.match(started.createdBy, /^token:/);
  assert.ok(Date.parse(String(started.estimatedEndAt)) > Date.now() - 5_000);

  const ended = await untilEnded(id);
  assert.equal(ended.state, "done");
  const { total, waiting, sent, done, failed, skipped, percent } = ended.progress;
  assert.deepEqual([total, waiting, sent, done, failed, skipped, percent], [3, 0, 0, 2, 1, 0, 100]);
  assert.equal(ended.estimatedEndAt, null);
  assert.ok(ended.finishedAt !== null);
  assert.deepEqual(new Set(owner.commands.map(({ verb }) => verb)), new Set(["reconnect"]));

  const all = await items(id);
  assert.deepEqual(
    all.map((item) => item.numberId),
    numberIds,
  );
  assert.ok(
    all.every(({ companyId, commandId }) => companyId === company.id && commandId !== null),
  );
  const [refused, ...others] = await items(id, "?state=failed");
  assert.equal(others.length, 0);
  assert.equal(refused?.numberId, numberIds[1]);
  assert.equal(refused?.reason, "WHATSAPP_REFUSED");
  const page = await ask("GET", `${PATH}/${id}/items?limit=2`);
  const next = await items(id, `?limit=2&after=${String(page.body["next"])}`);
  assert.deepEqual(
    next.map((item) => item.numberId),
    [numberIds[2]],
  );
  const jobs = (await ask("GET", PATH)).body["jobs"] as Job[];
  assert.equal(jobs[0]?.id, id);
  const entries = await listAudit(world.deps.platformDb, null, { limit: 10 });
  const note = entries.find(({ action, target }) => action === "job.started" && target === id);
  assert.deepEqual(note?.details, { kind: "reconnect", perSecond: 5, companies: 1 });
});

test("pair: a code for the phone that is known, else the phone is asked for", async () => {
  const company = await addCompany(world, { phone: "+79001112233" });
  const primary = await numberNoOf(world, await addNumber(world, company));
  const own = await numberNoOf(world, await addNumber(world, company, { phone: "+79002223344" }));
  const without = await numberNoOf(world, await addNumber(world, company));
  await using owner = await new Owner(world).start(succeed);
  const { id } = await startJob({ kind: "pair", companies: [company.id], perSecond: 50 });
  const ended = await untilEnded(id);
  assert.equal(ended.progress.done, 3);
  const seen = new Map(
    owner.commands.map(({ numberNo, verb, args }) => [numberNo, { verb, args }]),
  );
  assert.deepEqual(seen.get(primary), { verb: "pair_code", args: { phone: "79001112233" } });
  assert.deepEqual(seen.get(own), { verb: "pair_code", args: { phone: "79002223344" } });
  assert.deepEqual(seen.get(without), { verb: "ask_phone", args: {} });
});

test("over all companies one job of a kind runs; what another has before it is left out", async () => {
  const { company } = await disconnected(2);
  const small = await startJob({ kind: "reconnect", companies: [company.id] });
  assert.equal(small.progress.total, 2);
  const overlapping = await startJob({ kind: "reconnect", companies: [company.id] });
  assert.equal(overlapping.progress.total, 0);
  assert.equal(overlapping.state, "done", "there is nothing to do");
  const refused = await ask("POST", PATH, { kind: "reconnect" });
  assert.equal(refused.status, 409);
  assert.equal(refused.body["code"], "JOB_RUNNING");
  assert.equal(refused.body["jobId"], small.id);

  const [first, second] = await Promise.all([
    ask("POST", PATH, { kind: "pair" }),
    ask("POST", PATH, { kind: "pair" }),
  ]);
  assert.deepEqual(
    new Set([first.status, second.status]),
    new Set([202, 409]),
    "one of another kind",
  );

  const cancelled = await ask("POST", `${PATH}/${small.id}/cancel`, {});
  assert.equal(cancelled.body["cancelled"], true);
  const job = jobIn(cancelled);
  assert.equal(job.state, "cancelled");
  assert.equal(job.progress.skipped, 2);
  assert.deepEqual(
    new Set((await items(small.id)).map(({ reason }) => reason)),
    new Set(["cancelled"]),
  );
  assert.equal((await ask("POST", `${PATH}/${small.id}/cancel`, {})).body["cancelled"], false);
  const pairJob = [first, second].find(({ status }) => status === 202);
  assert.ok(pairJob);
  await ask("POST", `${PATH}/${jobIn(pairJob).id}/cancel`, {});
  const entries = await listAudit(world.deps.platformDb, null, { limit: 10 });
  assert.equal(entries.filter(({ action }) => action === "job.cancelled").length, 2);
});

test("what was sent before the cancel goes on to its end", async () => {
  const { company } = await disconnected(3);
  const answer = Promise.withResolvers<void>();
  await using owner = await new Owner(world).start(async () => {
    await answer.promise;
    return { state: "done", result: {} };
  });
  const { id } = await startJob({ kind: "reconnect", companies: [company.id], perSecond: 1 });
  await until(async () => (await read(id)).progress.sent === 1);
  const cancelled = jobIn(await ask("POST", `${PATH}/${id}/cancel`, {}));
  assert.deepEqual([cancelled.progress.sent, cancelled.progress.skipped], [1, 2]);
  assert.equal(cancelled.finishedAt, null);
  answer.resolve();
  await until(async () => (await read(id)).finishedAt !== null);
  const { state, progress } = await read(id);
  assert.equal(state, "cancelled");
  assert.equal(progress.done, 1);
  assert.equal(owner.commands.length, 1);
});

test("what makes no sense is refused", async () => {
  for (const body of [
    {},
    { kind: "dance" },
    { kind: "pair", perSecond: 0 },
    { kind: "pair", perSecond: 51 },
    { kind: "pair", perSecond: 2.5 },
    { kind: "pair", companies: [] },
  ]) {
    const answer = await ask("POST", PATH, body);
    assert.equal(answer.status, 400, JSON.stringify(body));
    assert.equal(answer.body["code"], "INVALID_REQUEST");
  }
  const unknown = await ask("POST", PATH, { kind: "pair", companies: ["nobody"] });
  assert.equal(unknown.status, 404);
  assert.equal(unknown.body["code"], "COMPANY_NOT_FOUND");
  assert.equal(unknown.body["detail"], "There is no company nobody.");
  for (const [method, path] of [
    ["GET", ""],
    ["GET", "/items"],
    ["POST", "/cancel"],
  ] as const) {
    const body = method === "POST" ? {} : undefined;
    const answer = await ask(method, `${PATH}/job_none${path}`, body);
    assert.equal(answer.body["code"], "JOB_NOT_FOUND");
  }
});

test("without an owner items wait; the pace holds with several gateways; another goes on after one", async () => {
  const { company } = await disconnected(7);
  const { db, ...parts } = { db: world.deps.platformDb, ...world.deps };
  const makeRunner = (): JobRunner => new JobRunner({ db, ...parts });
  const second = makeRunner();
  second.start();
  const { id } = await startJob({ kind: "reconnect", companies: [company.id], perSecond: 2 });
  await until(async () => (await ranSince(id)) >= 2, { label: "two turns" });
  assert.equal((await read(id)).progress.waiting, 7, "nobody owns the numbers");

  const times: number[] = [];
  await using owner = await new Owner(world).start((command, self) => {
    times.push(performance.now());
    return succeed(command, self);
  });
  await until(async () => (await read(id)).progress.done >= 2);
  // Both gateways that were there end; what they have done is in the database.
  await world.deps.jobs.stop();
  await second.stop();
  const third = makeRunner();
  third.start();
  try {
    const ended = await untilEnded(id);
    assert.equal(ended.progress.done, 7);
    assert.equal(owner.commands.length, 7, "each number got one command");
    // 7 at 2 a second: the last of them starts in the fourth turn, 3 s after the first.
    const lastMs = (times.at(-1) ?? 0) - (times[0] ?? 0);
    assert.ok(lastMs > 2_500, `${Math.round(lastMs)} ms`);
  } finally {
    await third.stop();
  }
});

/** Turns that the job runners have had since the job began. */
let turns: { jobId: string; last: string; count: number } | undefined;
async function ranSince(jobId: string): Promise<number> {
  const row = await world.deps.platformDb
    .selectFrom("housekeeping")
    .select("ranAt")
    .where("name", "=", "jobs")
    .executeTakeFirst();
  const last = row?.ranAt.toISOString() ?? "";
  if (turns?.jobId !== jobId) turns = { jobId, last, count: 0 };
  else if (turns.last !== last) turns = { jobId, last, count: turns.count + 1 };
  return turns.count;
}
