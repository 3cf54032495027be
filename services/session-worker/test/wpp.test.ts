/** Numbers of the WPP Platform, against the simulated one: made, brought up, made anew; never one client for two. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import type { CommandRow, CompanyRow, NumberRow } from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import type { WppPlatformSimulator } from "@manyline/simulators/wpp";
import { until } from "@manyline/testkit";
import type { Room } from "./room.ts";
import { resultOf, type WppResult as Result, WppRoom } from "./wpp-room.ts";

let world: WppRoom;
let wpp: WppPlatformSimulator;
let room: Room;
before(async () => {
  world = await WppRoom.open();
  ({ wpp, room } = world);
});
after(() => world[Symbol.asyncDispose]());

const addNumber = (company: CompanyRow): Promise<NumberRow> => world.addNumber(company);
const open = (...asked: Parameters<WppRoom["open"]>): Promise<CommandRow> => world.open(...asked);
const organisationsOf = ({ companyId }: CompanyRow): string[] =>
  [...wpp.world.clients.keys()].filter((id) => id.split("__")[0] === companyId);
const isStatus = (number: NumberRow, status: string) => world.is(number, status);
const scan = (session: string): Promise<void> => world.scan(session);

test("the first number is its company, each further one its own organisation; all are connected", async () => {
  const company = await room.company();
  const numbers = [await addNumber(company), await addNumber(company), await addNumber(company)];
  const results: Result[] = [];
  for (const [index, number] of numbers.entries()) {
    const result = resultOf(await open(company, number, index === 0 ? "reconnect" : "add"));
    assert.ok(["starting", "qr_issued"].includes(result.status), result.status);
    assert.match(result.apiKey, /^k_.{4}••••••.{4}$/);
    assert.match(result.session, /^\d{13}$/);
    await scan(result.session);
    results.push(result);
  }
  for (const number of numbers) await until(isStatus(number, "connected"));
  assert.equal(new Set(results.map(({ session }) => session)).size, 3);
  assert.equal(new Set(results.map(({ apiKey }) => apiKey)).size, 3);
  const [first, ...others] = organisationsOf(company);
  assert.equal(first, company.companyId);
  for (const id of others) assert.match(id, new RegExp(`^${company.companyId}__wpp__[0-9a-f]{8}$`));
  assert.ok(wpp.calls.every(({ status }) => status === 200));
  const webhook = wpp.world.bySession(results[0]?.session ?? "").webhook;
  assert.match(String(webhook), /^http:\/\/127\.0\.0\.1:9\/webhooks\/wpp\/[0-9a-f-]{36}$/);
});

test("calls at once make one client, and a connected number is left alone", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  const both = await Promise.all([
    open(company, number, "reconnect"),
    open(company, number, "reconnect"),
  ]);
  const [one, two] = both.map(resultOf);
  assert.deepEqual([one?.session, one?.apiKey], [two?.session, two?.apiKey]);
  assert.deepEqual(organisationsOf(company), [company.companyId]);
  await scan(one?.session ?? "");
  await until(isStatus(number, "connected"));
  const starts = () =>
    wpp.calls.filter(({ name, session }) => name === "start" && session === one?.session).length;
  const startsBefore = starts();
  assert.equal(resultOf(await open(company, number, "reconnect")).status, "connected");
  assert.equal(starts(), startsBefore);
});

test("a number is made anew in its place, once however often it was asked for", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  const { session } = resultOf(await open(company, number, "reconnect"));
  await scan(session);
  await until(isStatus(number, "connected"));
  const again = (
    await Promise.all([
      open(company, number, "recreate", session),
      open(company, number, "recreate", session),
    ])
  ).map(resultOf);
  assert.notEqual(again[0]?.session, session);
  assert.equal(again[0]?.session, again[1]?.session);
  assert.equal(organisationsOf(company).length, 2);
  assert.equal(wpp.world.bySession(session).state, "offline");
  await scan(again[0]?.session ?? "");
  await until(isStatus(number, "connected"));
});

test("a stale row gets a client of its own", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  await asSuperuser(
    room.database,
    `update numbers set secrets = 'x', settings = '{"wppAccountNumber":"client_system"}' where number_no = ${number.numberNo}`,
  );
  const { session } = resultOf(await open(company, number, "reconnect"));
  assert.match(session, /^\d{13}$/);
  assert.match(organisationsOf(company)[0] ?? "", /__wpp__/);
});

test("however often a new client is asked for without an answer, one is made", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  const { session } = resultOf(await open(company, number, "reconnect"));
  // The client is made, and whoever asked does not get to know of it.
  const cut = () => wpp.faults.add({ call: "create", effect: { cut: "after" }, next: 3 });
  for (let turn = 0; turn < 2; turn += 1) {
    cut();
    assert.equal(resultOf(await open(company, number, "recreate", session)).status, "error");
  }
  const made = resultOf(await open(company, number, "recreate", session));
  const [, second] = organisationsOf(company);
  assert.deepEqual(organisationsOf(company), [company.companyId, second]);
  assert.equal(wpp.world.clients.get(second ?? "")?.session, made.session);
  // Once it is stored, the next one is another.
  resultOf(await open(company, number, "recreate", made.session));
  assert.equal(organisationsOf(company).length, 3);
  await asSuperuser(
    room.database,
    `update numbers set settings = '{"wppAccountNumber":"client_system"}' where number_no = ${number.numberNo}`,
  );
  cut();
  assert.equal(resultOf(await open(company, number, "reconnect")).status, "error");
  const mended = resultOf(await open(company, number, "reconnect"));
  assert.deepEqual(
    [organisationsOf(company).length, wpp.world.bySession(mended.session).organizationId],
    [4, organisationsOf(company).at(-1)],
  );
});

test("a new key that stays late is asked for once more, then another takes its place", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  const answer = { status: 403, body: { error: "Invalid API key" } };
  for (let turn = 0; turn < 2; turn += 1) {
    wpp.faults.add({ call: "token", effect: { answer }, next: 3 });
    const late = resultOf(await open(company, number, "add"));
    assert.match(late.error ?? "", /not active yet/);
    assert.equal(organisationsOf(company).length, 1);
  }
  assert.match(resultOf(await open(company, number, "add")).session, /^\d{13}$/);
  assert.equal(organisationsOf(company).length, 2);
});

test("a key that another number has is refused, and nothing is stored", async () => {
  const [owner, other] = [await room.company(), await room.company()];
  const number = await addNumber(owner);
  const client = resultOf(await open(owner, number, "reconnect"));
  const taken = wpp.world.clients.get(owner.companyId);
  assert.ok(taken);
  const answer = { status: 200, body: { apiKey: taken.apiKey, session: taken.session } };
  wpp.faults.add({ call: "create", effect: { answer }, next: 1 });
  const second = await addNumber(other);
  const refused = await open(other, second, "add");
  assert.deepEqual([refused.state, refused.error], ["failed", { code: "WPP_KEY_REUSED" }]);
  const [row] = await asSuperuser<{ secrets: unknown; session: unknown }>(
    room.database,
    `select secrets, settings ->> 'wppAccountNumber' as session from numbers where number_no = ${second.numberNo}`,
  );
  assert.deepEqual([row?.secrets, row?.session], [null, null]);
  assert.notEqual(resultOf(await open(other, second, "reconnect")).session, client.session);
});

test("what went wrong before is found again: a lost answer, a late key, a start behind a 504", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  wpp.faults.add({ call: "create", effect: { answer: { status: 500, body: {} } }, next: 3 });
  const failed = resultOf(await open(company, number, "add"));
  assert.deepEqual([failed.status, failed.session], ["error", null]);
  wpp.faults.add({ call: "start", effect: { answer: { status: 504, body: "<html>" } }, next: 1 });
  const opened = resultOf(await open(company, number, "reconnect"));
  assert.equal(opened.status, "starting");
  assert.equal(organisationsOf(company).length, 1);
  assert.match(organisationsOf(company)[0] ?? "", /__wpp__/);
  const wrong = await addNumber(company);
  wpp.faults.add({ call: "create", effect: { answer: { status: 401, body: {} } }, next: 1 });
  assert.deepEqual((await open(company, wrong, "add")).error, { code: "WPP_REFUSED" });
});

test("a number that is lost comes back, one whose key is refused says so; no log has a key", async () => {
  const company = await room.company();
  const number = await addNumber(company);
  const { session } = resultOf(await open(company, number, "reconnect"));
  await scan(session);
  await until(isStatus(number, "connected"));
  const { apiKey } = wpp.world.bySession(session);
  wpp.world.bySession(session).apiKey = "another";
  await room.command(number, "reconnect");
  await until(async () => (await room.status(number)).number.reason === "token_refused");
  wpp.world.bySession(session).apiKey = apiKey;
  assert.equal(resultOf(await open(company, number, "reconnect")).status, "connected");
  await until(isStatus(number, "connected"));
  const log = await readFile(room.log, "utf8");
  assert.ok(log.includes("wpp."));
  assert.ok(!log.includes(apiKey) && !log.includes(wpp.options.secret));
});
