import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Metrics, Session, Shard, ShardMove, Worker } from "@manyline/contracts";
import { listAudit } from "@manyline/db";
import type { AuditEntry } from "@manyline/db";
import { until } from "@manyline/testkit";
import { Type } from "typebox";
import { Compile } from "typebox/compile";
import { Owner, numberNoOf } from "./owner.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld, record } from "./support.ts";
import type { Answer, TestCompany, World } from "./support.ts";

let world: World;
/** In the order of their creation, so all in the first shard. */
const companies: TestCompany[] = [];
before(async () => {
  world = await openWorld();
  for (let i = 0; i < 4; i += 1) companies.push(await addCompany(world));
  // Most numbers are with the last company: the middle by numbers is where it begins.
  for (const company of companies) await addNumber(world, company);
  for (let i = 0; i < 4; i += 1) await addNumber(world, companyAt(3));
});
after(() => world[Symbol.asyncDispose]());

const API = "/api/whatsapp";
const isWorkers = Compile(Type.Array(Worker));
const isShards = Compile(Type.Array(Shard));
const isMoves = Compile(Type.Array(ShardMove));
const isMetrics = Compile(Metrics);
const isSessions = Compile(Type.Array(Session));

function companyAt(index: number): TestCompany {
  const company = companies[index];
  if (!company) throw new Error("no such company");
  return company;
}

function ask(method: string, path: string, body?: unknown): Promise<Answer> {
  const sent = method === "GET" || method === "DELETE" ? body : (body ?? {});
  return call(world, method, `${API}${path}`, { token: ADMIN_TOKEN, body: sent });
}

async function workers(): Promise<Worker[]> {
  const found = (await ask("GET", "/workers")).body["workers"];
  assert.ok(isWorkers.Check(found), JSON.stringify(isWorkers.Errors(found)));
  return found;
}

async function shards(): Promise<Shard[]> {
  const found = (await ask("GET", "/shards")).body["shards"];
  assert.ok(isShards.Check(found), JSON.stringify(isShards.Errors(found)));
  return found;
}

async function onlyShard(): Promise<Shard> {
  const [shard, ...more] = await shards();
  assert.ok(shard && more.length === 0);
  return shard;
}

async function ownerOf(shardId: number): Promise<string | undefined> {
  return (await shards()).find(({ id }) => id === shardId)?.owner?.workerId;
}

async function noted(action: string): Promise<AuditEntry[]> {
  const entries = await listAudit(world.deps.platformDb, null, { limit: 200 });
  return entries.filter((entry) => entry.action === action);
}

test("workers: what each said last; a drained one hands over and keeps running until resumed", async () => {
  assert.deepEqual(await workers(), []);
  await using owner = await new Owner(world, "pod-a").start();
  owner.report = { numbers: 7, connected: 4, opening: 2, waiting: 1 };
  await until(async () => (await workers())[0]?.connected === 4);
  const [worker] = await workers();
  assert.ok(worker);
  assert.equal(worker.id, owner.workerId);
  assert.equal(worker.host, "pod-a");
  assert.equal(worker.version, "test");
  assert.equal(worker.isLive, true);
  assert.deepEqual([worker.numbers, worker.opening, worker.waiting, worker.shards], [7, 2, 1, 1]);

  const { id: shardId } = await onlyShard();
  const drained = await ask("POST", `/workers/${owner.workerId}/drain`);
  assert.equal(drained.status, 202, JSON.stringify(drained.body));
  assert.equal(record(drained.body["worker"])["drainAsked"], true);
  await until(async () => (await ownerOf(shardId)) === undefined);
  await until(async () => (await workers())[0]?.isDraining === true);
  assert.equal((await workers())[0]?.isLive, true);

  const resumed = await ask("POST", `/workers/${owner.workerId}/resume`);
  assert.equal(resumed.status, 202);
  await until(async () => (await ownerOf(shardId)) === owner.workerId);
  assert.equal((await noted("worker.drain_asked"))[0]?.target, owner.workerId);
  assert.equal((await noted("worker.resumed")).length, 1);

  for (const action of ["drain", "resume"]) {
    const unknown = await ask("POST", `/workers/nobody/${action}`);
    assert.equal(unknown.status, 404);
    assert.equal(unknown.body["code"], "WORKER_NOT_FOUND");
  }
});

test("shards: who owns which companies, since when, and the moves", async () => {
  const free = await onlyShard();
  assert.equal(free.owner, null);
  assert.equal(free.ownedSince, null);
  await using owner = await new Owner(world, "pod-a").start();
  const shard = await onlyShard();
  assert.deepEqual(shard.owner, { workerId: owner.workerId, host: "pod-a" });
  assert.equal(shard.isLive, true);
  assert.ok(shard.epoch > free.epoch);
  assert.ok(Date.parse(String(shard.ownedSince)) <= Date.now() + 1_000);
  assert.deepEqual(shard.range, {
    lo: 1,
    hi: 65,
    companies: 4,
    firstCompanyId: companyAt(0).id,
    lastCompanyId: companyAt(3).id,
  });
  assert.equal(shard.numbers, 8);
  assert.equal(shard.connected, 0);

  const one = await ask("GET", `/shards/${shard.id}`);
  assert.equal(record(one.body["shard"])["epoch"], shard.epoch);
  for (const moves of [
    one.body["moves"],
    (await ask("GET", "/shard-moves?limit=5")).body["moves"],
  ]) {
    assert.ok(isMoves.Check(moves), JSON.stringify(isMoves.Errors(moves)));
    assert.equal(moves[0]?.workerId, owner.workerId);
    assert.equal(moves[0]?.how, "claimed");
    assert.equal(moves[0]?.epoch, shard.epoch);
  }
  for (const id of ["999", "0", "x", "99999999999"]) {
    assert.equal((await ask("GET", `/shards/${id}`)).body["code"], "SHARD_NOT_FOUND", id);
    assert.equal((await ask("POST", `/shards/${id}/pause`)).body["code"], "SHARD_NOT_FOUND", id);
  }
});

test("a pinned shard moves to the host; a pin to a host without a worker binds nobody", async () => {
  await using first = await new Owner(world, "pod-a").start();
  await using second = await new Owner(world, "pod-b").start();
  const { id } = await onlyShard();
  assert.equal(await ownerOf(id), first.workerId);
  const pinned = await ask("POST", `/shards/${id}/pin`, { host: "pod-b" });
  assert.equal(pinned.status, 202, JSON.stringify(pinned.body));
  assert.deepEqual(record(pinned.body["shard"])["pin"], { host: "pod-b", isBinding: true });
  await until(async () => (await ownerOf(id)) === second.workerId);

  const nowhere = await ask("POST", `/shards/${id}/pin`, { host: "pod-x" });
  assert.deepEqual(record(nowhere.body["shard"])["pin"], { host: "pod-x", isBinding: false });
  const unpinned = await ask("DELETE", `/shards/${id}/pin`);
  assert.equal(unpinned.status, 200);
  assert.equal(record(unpinned.body["shard"])["pin"], null);
  assert.deepEqual((await noted("shard.pinned"))[1]?.details, { host: "pod-b" });
  assert.equal((await noted("shard.unpinned")).length, 1);
  for (const body of [{}, { host: "" }, { host: "a b" }, { host: 5 }]) {
    assert.equal((await ask("POST", `/shards/${id}/pin`, body)).status, 400);
  }
});

test("a paused shard is owned by nobody until it is resumed", async () => {
  const owner = await new Owner(world).start();
  const { id } = await onlyShard();
  const paused = await ask("POST", `/shards/${id}/pause`);
  assert.equal(paused.status, 202);
  assert.equal(record(paused.body["shard"])["isPaused"], true);
  await until(async () => (await ownerOf(id)) === undefined);
  const path = `${API}/sessions/${companyAt(0).id}/status`;
  const status = await call(world, "GET", path, { token: companyAt(0).token });
  assert.equal(status.body["reason"], "no_owner");
  assert.equal(status.body["isPaused"], true);
  assert.equal((await ask("POST", `/shards/${id}/resume`)).status, 200);
  await until(async () => (await ownerOf(id)) === owner.workerId);
  await owner.stop();

  assert.equal((await ask("POST", `/shards/${id}/pause`)).status, 200, "nobody owns it: at once");
  await using other = await new Owner(world).start();
  assert.equal(await ownerOf(id), undefined, "a paused shard is not taken");
  await ask("POST", `/shards/${id}/resume`);
  await until(async () => (await ownerOf(id)) === other.workerId);
  assert.equal((await noted("shard.paused")).length, 2);
});

test("split and merge: at once when nobody owns the shard", async () => {
  const { id, epoch } = await onlyShard();
  const split = await ask("POST", `/shards/${id}/split`);
  assert.equal(split.status, 200, JSON.stringify(split.body));
  const [lower, upper] = await shards();
  assert.ok(lower && upper);
  assert.equal(lower.id, id);
  assert.equal(lower.range.lastCompanyId, companyAt(2).id);
  assert.equal(upper.range.firstCompanyId, companyAt(3).id, "the middle by numbers");
  assert.equal(upper.epoch, epoch);
  const alone = await ask("POST", `/shards/${upper.id}/split`);
  assert.equal(alone.status, 409);
  assert.equal(alone.body["code"], "SHARD_NOT_DIVISIBLE");
  const topmost = await ask("POST", `/shards/${upper.id}/merge`);
  assert.equal(topmost.body["code"], "SHARD_NOT_DIVISIBLE");

  const merged = await ask("POST", `/shards/${id}/merge`);
  assert.equal(merged.status, 200, JSON.stringify(merged.body));
  assert.equal((await onlyShard()).range.companies, 4);
});

test("split and merge: by the owner of both within seconds; apart they cannot merge", async () => {
  const { id } = await onlyShard();
  for (const [at, status] of [
    [companyAt(0).id, 400],
    ["nobody", 404],
    ["", 400],
  ] as const) {
    assert.equal((await ask("POST", `/shards/${id}/split`, { at })).status, status, at);
  }
  await using first = await new Owner(world, "pod-a").start();
  const asked = await ask("POST", `/shards/${id}/split`, { at: companyAt(1).id });
  assert.equal(asked.status, 202, JSON.stringify(asked.body));
  const pending = record(record(asked.body["shard"])["pending"]);
  assert.deepEqual(pending, { split: { at: 2, companyId: companyAt(1).id }, merge: false });
  await until(async () => (await shards()).length === 2);
  await until(async () => (await shards()).every(({ owner }) => owner !== null));
  const upper = (await shards())[1]?.id ?? 0;
  const foreign = await ask("POST", `/shards/${id}/split`, { at: companyAt(2).id });
  assert.equal(foreign.status, 400);
  assert.match(JSON.stringify(foreign.body["errors"]), new RegExp(`company of shard ${upper}`));

  const second = await new Owner(world, "pod-b").start();
  await ask("POST", `/shards/${upper}/pin`, { host: "pod-b" });
  await until(async () => (await ownerOf(upper)) === second.workerId);
  const apart = await ask("POST", `/shards/${id}/merge`);
  assert.equal(apart.status, 409);
  assert.equal(apart.body["code"], "SHARDS_APART");
  assert.match(String(apart.body["detail"]), new RegExp(`shard ${upper} is with pod-b-`));
  assert.match(String(apart.body["remedy"]), /Pin both to the same host/);

  await ask("POST", `/shards/${upper}/pin`, { host: "pod-a" });
  await until(async () => (await ownerOf(upper)) === first.workerId);
  await second.stop();
  const merging = await ask("POST", `/shards/${id}/merge`);
  assert.equal(merging.status, 202, JSON.stringify(merging.body));
  await until(async () => (await shards()).length === 1);
  await until(async () => (await ownerOf(id)) === first.workerId);
  const { range, pending: left } = await onlyShard();
  assert.equal(range.companies, 4);
  assert.deepEqual(left, { split: null, merge: false });
  assert.equal((await noted("shard.split_asked")).length, 2);
  assert.equal((await noted("shard.merge_asked")).length, 2);
});

test("a split or merge that was not carried out yet can be taken back", async () => {
  const { id } = await onlyShard();
  const pendingOf = async (): Promise<unknown> => (await shards())[0]?.pending;
  await using owner = new Owner(world);
  owner.isIdle = true;
  await owner.start();
  await until(async () => (await ownerOf(id)) === owner.workerId);
  const nothing = { split: null, merge: false };

  assert.equal((await ask("POST", `/shards/${id}/split`, { at: companyAt(1).id })).status, 202);
  assert.notDeepEqual(await pendingOf(), nothing);
  const unsplit = await ask("DELETE", `/shards/${id}/split`);
  assert.equal(unsplit.status, 200, JSON.stringify(unsplit.body));
  assert.deepEqual(await pendingOf(), nothing);

  owner.isIdle = false;
  await ask("POST", `/shards/${id}/split`, { at: companyAt(1).id });
  await until(async () => (await shards()).length === 2);
  await until(async () => (await shards()).every((each) => each.owner !== null));
  owner.isIdle = true;
  assert.equal((await ask("POST", `/shards/${id}/merge`)).status, 202);
  assert.deepEqual(await pendingOf(), { split: null, merge: true });
  assert.equal((await ask("DELETE", `/shards/${id}/merge`)).status, 200);
  assert.deepEqual(await pendingOf(), nothing);
  // Again, and there is nothing to take back: the same answer.
  assert.equal((await ask("DELETE", `/shards/${id}/merge`)).status, 200);
  assert.equal((await ask("DELETE", "/shards/999999/split")).status, 404);

  owner.isIdle = false;
  assert.equal((await ask("POST", `/shards/${id}/merge`)).status, 202);
  await until(async () => (await shards()).length === 1);
  assert.equal((await noted("shard.split_withdrawn")).length, 1);
  assert.equal((await noted("shard.merge_withdrawn")).length, 2);
});

test("metrics: the seed's names, and how far opening is", async () => {
  const company = await addCompany(world);
  const numberNo = await numberNoOf(world, await addNumber(world, company));
  await using owner = await new Owner(world).start();
  await owner.link(numberNo, "79001234567");
  owner.report = { numbers: 9, connected: 1, opening: 2, waiting: 1 };
  await until(async () => (await workers()).some(({ isLive, waiting }) => isLive && waiting === 1));
  const { body } = await ask("GET", "/metrics");
  assert.ok(isMetrics.Check(body), JSON.stringify(isMetrics.Errors(body)));
  assert.equal(body.totalCompanies, 5);
  assert.equal(body.numbers, 9);
  assert.equal(body.connectedSessions, 1);
  assert.equal(body.pendingPairingCodes, 0);
  assert.equal(body.blockedCompanies, 0);
  assert.equal(body.averageReconnectTime, "0s");
  assert.equal(body.qrToParingRatio, "0:0");
  assert.equal(body.qrToPairingRatio, "0:0");
  assert.deepEqual(body.opening, { connected: 1, opening: 2, waiting: 1, wanted: 1, percent: 25 });
  assert.deepEqual(body.numbersByStatus, {
    connected: 1,
    connecting: 0,
    disconnected: 8,
    error: 0,
    blocked: 0,
  });
  assert.deepEqual([body.ownerlessNumbers, body.ownerlessShards, body.pausedShards], [0, 0, 0]);

  const attempt = await owner.startAttempt(numberNo, "qr");
  await owner.changeAttempt(numberNo, attempt, { state: "ended", outcome: "succeeded" });
  assert.equal((await ask("GET", "/metrics")).body["qrToPairingRatio"], "100:0");
});

test("sessions: all numbers page by page with their derived status, or one company's", async () => {
  const seen: Session[] = [];
  let path = "/sessions?limit=3";
  for (;;) {
    const { body } = await ask("GET", path);
    assert.ok(
      isSessions.Check(body["sessions"]),
      JSON.stringify(isSessions.Errors(body["sessions"])),
    );
    assert.ok(body["sessions"].length <= 3);
    seen.push(...body["sessions"]);
    if (typeof body["next"] !== "string") break;
    path = `/sessions?limit=3&after=${body["next"]}`;
  }
  assert.equal(seen.length, 9);
  assert.equal(new Set(seen.map(({ numberId }) => numberId)).size, 9);
  assert.ok(
    seen.every(({ reason }) => reason === "no_owner"),
    "no worker is there now",
  );
  assert.deepEqual(
    seen.map(({ companyId }) => companies.findIndex(({ id }) => id === companyId)).slice(0, 8),
    [0, 1, 2, 3, 3, 3, 3, 3],
  );

  await using owner = await new Owner(world).start();
  const linked = seen.at(-1);
  assert.ok(linked && owner);
  const read = async (): Promise<Session | undefined> => {
    const one = await ask("GET", `/sessions?company=${linked.companyId}`);
    return (one.body["sessions"] as Session[])[0];
  };
  // A former owner stored it as connected; this one has taken the shard and said nothing yet.
  const taken = await read();
  assert.deepEqual([taken?.status, taken?.reason], ["connecting", "opening"]);
  const [lease] = await world.deps.platformDb.selectFrom("shardLeases").selectAll().execute();
  assert.equal(taken?.since, lease?.claimedAt?.toISOString());
  const own = await ask("GET", `/sessions/${linked.companyId}/status`);
  assert.deepEqual([own.body["status"], own.body["since"]], ["connecting", taken?.since]);
  assert.equal(record((await ask("GET", "/metrics")).body["numbersByStatus"])["connected"], 0);
  await owner.connect(await numberNoOf(world, linked.numberId));
  assert.equal(record((await ask("GET", "/metrics")).body["numbersByStatus"])["connected"], 1);
  const session = await read();
  assert.equal(session?.status, "connected");
  assert.equal(session.reason, "open");
  assert.equal(session.score, 100);
  assert.equal(session.phone, "79001234567");
  assert.equal((await ask("GET", "/sessions?company=nobody")).body["code"], "COMPANY_NOT_FOUND");
  for (const cursor of ["x", "1", "0.1", "1.2.3"]) {
    assert.equal((await ask("GET", `/sessions?after=${cursor}`)).status, 400, cursor);
  }
});
