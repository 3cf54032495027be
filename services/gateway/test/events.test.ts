import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  companyPhoneMissing,
  makeEvent,
  pairingCodeIssued,
  pairingQrIssued,
  pairingStarted,
  parseCompanyId,
  sessionConnecting,
} from "@manyline/contracts";
import type { NumberId } from "@manyline/contracts";
import { appendEvents, createToken, inTransaction, revokeToken } from "@manyline/db";
import { until } from "@manyline/testkit";
import { Owner, numberNoOf } from "./owner.ts";
import { SseReader } from "./sse-reader.ts";
import { addCompany, addNumber, call, openPage, openWorld, record } from "./support.ts";
import type { CallOptions, TestCompany, World } from "./support.ts";

let world: World;
let owner: Owner;
before(async () => {
  world = await openWorld({ env: { STREAMS_PER_TOKEN: "3" } });
  owner = await new Owner(world).start();
});
after(async () => {
  await owner.stop();
  await world[Symbol.asyncDispose]();
});

type Scene = { company: TestCompany; numberId: NumberId; numberNo: number };

async function scene(): Promise<Scene> {
  const company = await addCompany(world);
  const numberId = (await addNumber(world, company)) as NumberId;
  const numberNo = await numberNoOf(world, numberId);
  await until(() => owner.number(numberNo).then(({ epoch }) => epoch > 0), { label: "adopted" });
  // The owner adopts by polling; a fence that is not raised yet refuses the first write.
  await until(
    async () => {
      await owner.emit(numberNo, companyPhoneMissing, { numberId }, false);
      return true;
    },
    { label: "fence" },
  );
  return { company, numberId, numberNo };
}

function listen(company: TestCompany, options: CallOptions, query = ""): Promise<SseReader> {
  return SseReader.open(`${world.url}/api/whatsapp/sessions/${company.id}/events${query}`, options);
}

const connecting = {
  status: "connecting",
  reason: "pairing",
  previousStatus: "disconnected",
  provider: "linked",
  phone: null,
  nextAction: "finish_pairing",
} as const;
const now = (ms = 0): string => new Date(Date.now() + ms).toISOString();

async function showQr({ numberNo }: Scene, attemptId: string, k: number, qr: string) {
  const issuedAt = new Date();
  const expiresAt = new Date(Date.now() + 30_000);
  await owner.changeAttempt(numberNo, attemptId, {
    state: "qr",
    k,
    issuedAt,
    expiresAt,
    secret: { kind: "qr", value: qr },
  });
  return owner.emit(numberNo, pairingQrIssued, {
    attemptId,
    k,
    max: 3,
    issuedAt: issuedAt.toISOString(),
    expiresAt: expiresAt.toISOString(),
    refreshed: false,
  });
}

test("snapshot first, then events in their envelope, with their id", async () => {
  const { company, numberNo } = await scene();
  await using reader = await listen(company, { token: company.token });
  assert.equal(reader.response.headers.get("content-type"), "text/event-stream; charset=utf-8");
  const snapshot = await reader.next("snapshot");
  assert.equal(snapshot.data["success"], true);
  assert.equal(snapshot.data["companyId"], company.id);
  const stored = await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() });
  const startedAt = performance.now();
  const event = await reader.next("session.connecting");
  assert.ok(performance.now() - startedAt < 1_000, "the bus wakes it, not a poll");
  assert.equal(event.id, stored.eventId);
  assert.equal(event.data["type"], "session.connecting");
  assert.equal(event.data["companyid"], company.id);
  assert.equal(record(event.data["data"])["reason"], "pairing");
  assert.ok(!Number.isNaN(Date.parse(String(event.data["serverTime"]))));
  assert.deepEqual(
    reader.events(),
    ["snapshot", "session.connecting"],
    "nothing old, nothing twice",
  );
});

test("QR and code are put in for scope pair, while they live, and for nobody else", async () => {
  const one = await scene();
  const { company, numberNo } = one;
  const { companyNo } = await owner.number(numberNo);
  const readOnly = await inTransaction(world.deps.platformDb, (tx) =>
    createToken(tx, { companyNo, name: "reader", scopes: ["read"], kind: "api" }),
  );
  await using page = await listen(company, { cookie: await openPage(world, company) });
  await using reader = await listen(company, { token: readOnly.secret });
  await Promise.all([page.next("snapshot"), reader.next("snapshot")]);

  const attemptId = await owner.startAttempt(numberNo, "qr");
  await owner.emit(numberNo, pairingStarted, { attemptId, method: "qr", phone: null });
  await showQr(one, attemptId, 1, "2@first-qr,text");
  const qr = await page.next("pairing.qr_issued");
  assert.equal(record(qr.data["data"])["qr"], "2@first-qr,text");

  await owner.changeAttempt(numberNo, attemptId, {
    state: "code",
    method: "code",
    phone: "79001234567",
    expiresAt: new Date(Date.now() + 30_000),
    secret: { kind: "code", value: "ABCDEFGH" },
  });
  await owner.emit(numberNo, pairingCodeIssued, {
    attemptId,
    phone: "79001234567",
    issuedAt: now(),
    expiresAt: now(30_000),
    validitySeconds: 60,
    codesLeft: 4,
    switched: true,
  });
  const code = await page.next("pairing.code_issued");
  assert.equal(record(code.data["data"])["code"], "ABCD-EFGH");
  await reader.next("pairing.code_issued");
  const seen = JSON.stringify(reader.messages);
  assert.doesNotMatch(seen, /ABCD|first-qr/);

  // A page that opens now is told the living code at once.
  await using late = await listen(company, { cookie: await openPage(world, company) });
  const snapshot = await late.next("snapshot");
  assert.equal(record(snapshot.data["attempt"])["code"], "ABCD-EFGH");
  await using lateReader = await listen(company, { token: readOnly.secret });
  const bare = await lateReader.next("snapshot");
  assert.equal(record(bare.data["attempt"])["code"], undefined);
});

test("a page sees its number and the company, not the sibling; a company's token sees all", async () => {
  const { company, numberNo, numberId } = await scene();
  const siblingId = (await addNumber(world, company)) as NumberId;
  const siblingNo = await numberNoOf(world, siblingId);
  const foreign = await scene();
  await using page = await listen(company, { cookie: await openPage(world, company) });
  await using all = await listen(company, { token: company.token });
  await Promise.all([page.next("snapshot"), all.next("snapshot")]);
  await until(
    async () => {
      await owner.emit(siblingNo, sessionConnecting, { ...connecting, since: now() });
      return true;
    },
    { label: "sibling adopted" },
  );
  await owner.emit(foreign.numberNo, sessionConnecting, { ...connecting, since: now() });
  await call(world, "PATCH", `/api/whatsapp/companies/${company.id}`, {
    token: company.token,
    body: { name: "Renamed" },
  });
  await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() });
  await page.next("session.connecting");
  await until(() => all.events().filter((event) => event === "session.connecting").length === 2);
  assert.deepEqual(page.events(), ["snapshot", "company.updated", "session.connecting"]);
  assert.deepEqual(
    all.messages
      .filter(({ event }) => event === "session.connecting")
      .map(({ data }) => data["numberid"]),
    [siblingId, numberId],
  );
});

test("Last-Event-ID repeats what was missed, then tells the state again", async () => {
  const { company, numberNo, numberId } = await scene();
  let lastId: string | undefined;
  {
    await using reader = await listen(company, { token: company.token });
    await reader.next("snapshot");
    await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() });
    lastId = (await reader.next("session.connecting")).id;
  }
  const missed = [
    await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() }),
    await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() }),
  ];
  const check = async (options: CallOptions, query = ""): Promise<SseReader> => {
    const again = await listen(company, options, query);
    await until(() => again.messages.length >= 4, { label: "repeated" });
    assert.deepEqual(again.events(), [
      "snapshot",
      "session.connecting",
      "session.connecting",
      "snapshot",
    ]);
    assert.deepEqual(
      again.messages.slice(1, 3).map(({ id }) => id),
      missed.map(({ eventId }) => eventId),
    );
    return again;
  };
  await using byQuery = await check({ token: company.token }, `?lastEventId=${String(lastId)}`);
  assert.ok(!byQuery.hasEnded);
  const headers = { "last-event-id": String(lastId) };
  await using byHeader = await check({ token: company.token, headers });
  await owner.emit(numberNo, companyPhoneMissing, { numberId });
  await byHeader.next("company.phone_missing");
  assert.equal(byHeader.messages.length, 5, "what was repeated does not come again");
  await using unknown = await listen(company, {
    token: company.token,
    headers: { "last-event-id": `evt_${"0".repeat(32)}` },
  });
  await unknown.next("snapshot");
  await owner.emit(numberNo, companyPhoneMissing, { numberId });
  await unknown.next("company.phone_missing");
  assert.deepEqual(
    unknown.events(),
    ["snapshot", "lost", "company.phone_missing"],
    "an unknown id repeats nothing, and says so",
  );
});

test("however much was missed, all of it is repeated, in order and once", async () => {
  const { company, numberNo, numberId } = await scene();
  const first = await owner.emit(numberNo, companyPhoneMissing, { numberId });
  const ids = await owner.fenced(numberNo, async (tx, _fence, { companyNo }) => {
    const companyId = parseCompanyId(company.id);
    if (!companyId) throw new Error("no id");
    const events = Array.from({ length: 1_500 }, () => ({
      companyNo,
      numberNo,
      event: makeEvent(
        sessionConnecting,
        { companyId, numberId },
        { ...connecting, since: now() },
        { service: "test", at: new Date() },
      ),
    }));
    return (await appendEvents(tx, events)).map(({ eventId }) => eventId);
  });
  await using reader = await listen(
    company,
    { token: company.token },
    `?lastEventId=${first.eventId}`,
  );
  await until(() => reader.messages.length >= ids.length + 2, {
    label: "repeated",
    deadlineMs: 20_000,
  });
  const last = await owner.emit(numberNo, companyPhoneMissing, { numberId });
  await reader.next("company.phone_missing");
  const told = ({ messages }: SseReader): string[] => messages.flatMap(({ id }) => id ?? []);
  assert.deepEqual(told(reader), [...ids, last.eventId]);

  const since = first.createdAt.toISOString();
  await using bySince = await listen(company, { token: company.token }, `?since=${since}`);
  await until(() => told(bySince).length > ids.length, { label: "since", deadlineMs: 20_000 });
  assert.deepEqual(
    told(bySince).filter((id) => id !== first.eventId),
    [...ids, last.eventId],
    "times are of milliseconds",
  );
  const path = `/api/whatsapp/sessions/${company.id}/events`;
  for (const wrong of ["yesterday", "2026-99-99T00:00:00.000Z"]) {
    const refused = await call(world, "GET", `${path}?since=${wrong}`, { token: company.token });
    assert.equal(refused.status, 400, wrong);
  }
});

test("an event that commits late, behind one that was sent already, is still sent", async () => {
  const { company, numberNo, numberId } = await scene();
  await using reader = await listen(company, { token: company.token });
  await reader.next("snapshot");
  const { companyNo } = await owner.number(numberNo);
  const gate = Promise.withResolvers<void>();
  const written = Promise.withResolvers<void>();
  const late = inTransaction(world.deps.platformDb, async (tx) => {
    const companyId = parseCompanyId(company.id);
    if (!companyId) throw new Error("no id");
    const event = makeEvent(
      sessionConnecting,
      { companyId, numberId },
      { ...connecting, since: now() },
      { service: "test", at: new Date() },
    );
    await appendEvents(tx, [{ companyNo, numberNo, event }]);
    written.resolve();
    await gate.promise;
  });
  await written.promise;
  await owner.emit(numberNo, companyPhoneMissing, { numberId });
  await reader.next("company.phone_missing");
  assert.ok(!reader.events().includes("session.connecting"));
  gate.resolve();
  await late;
  await reader.next("session.connecting", 0, 8_000);
});

test("without NATS a stream says that it lags and goes on by reading the log", async () => {
  const { company, numberNo } = await scene();
  await using reader = await listen(company, { token: company.token });
  await reader.next("snapshot");
  await world.nats.stop();
  try {
    const lag = await reader.next("lag", 0, 10_000);
    assert.equal(lag.data["lagging"], true);
    await owner.emit(numberNo, sessionConnecting, { ...connecting, since: now() });
    await reader.next("session.connecting");
    await using second = await listen(company, { token: company.token });
    await second.next("snapshot");
  } finally {
    await world.nats.start();
  }
  const from = reader.messages.length;
  const over = await reader.next("lag", from, 10_000);
  assert.equal(over.data["lagging"], false);
});

test("a stream ends with its number and with its token, and only so many are open", async () => {
  const { company } = await scene();
  const second = await addNumber(world, company);
  const cookie = await openPage(world, company, second);
  await using page = await listen(company, { cookie });
  await page.next("snapshot");
  await call(world, "DELETE", `/api/whatsapp/companies/${company.id}/numbers/${second}`, {
    token: company.token,
  });
  assert.equal((await page.next("ended")).data["reason"], "number_removed");
  await until(() => page.hasEnded);

  const { companyNo } = await world.deps.platformDb
    .selectFrom("companies")
    .select("companyNo")
    .where("companyId", "=", company.id)
    .executeTakeFirstOrThrow();
  const token = await inTransaction(world.deps.platformDb, (tx) =>
    createToken(tx, { companyNo, name: "t", scopes: ["read"], kind: "api", ttlMs: 2_500 }),
  );
  await using one = await listen(company, { token: token.secret });
  await using two = await listen(company, { token: token.secret });
  await using three = await listen(company, { token: token.secret });
  await Promise.all([one, two, three].map((reader) => reader.next("snapshot")));
  const path = `/api/whatsapp/sessions/${company.id}/events`;
  const refused = await call(world, "GET", path, { token: token.secret });
  assert.equal(refused.status, 429);
  assert.equal(refused.body["code"], "TOO_MANY_REQUESTS");
  assert.equal((await one.next("ended")).data["reason"], "expired");
  await until(() => one.hasEnded && two.hasEnded && three.hasEnded);
  await until(() => world.deps.streams.count === 0, { label: "all streams left" });
});

test("a revoked token loses its open stream at the next heartbeat", async () => {
  const { company } = await scene();
  const { companyNo } = await world.deps.platformDb
    .selectFrom("companies")
    .select("companyNo")
    .where("companyId", "=", company.id)
    .executeTakeFirstOrThrow();
  const token = await inTransaction(world.deps.platformDb, (tx) =>
    createToken(tx, { companyNo, name: "t", scopes: ["read"], kind: "api" }),
  );
  await using reader = await listen(company, { token: token.secret });
  await reader.next("snapshot");
  await revokeToken(world.deps.platformDb, companyNo, token.tokenId);
  assert.equal((await reader.next("ended", 0, 20_000)).data["reason"], "revoked");
});
