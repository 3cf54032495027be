/** Webhooks over REST: of a company and of nobody else, never to a private address, never more than a token may see. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { Scope } from "@manyline/contracts";
import {
  createToken,
  type Database,
  noteDirectDelivery,
  openDatabase,
  withCompany,
} from "@manyline/db";
import { asSuperuser } from "@manyline/db/testing";
import { ADMIN_TOKEN, addCompany, call, openWorld, record } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

let world: World;
let notify: Database;
before(async () => {
  world = await openWorld({ env: { HANDLER_OPEN_ADDRESSES: "127.0.0.1" } });
  notify = openDatabase({ url: world.database.urls.notify, applicationName: "test" });
});
after(async () => {
  await notify.stop();
  await world[Symbol.asyncDispose]();
});

type Json = Record<string, unknown>;
const url = "http://127.0.0.1:9/in";
const of =
  ({ id, token }: TestCompany) =>
  (method: string, path: string, body?: object) =>
    call(world, method, `/api/whatsapp/companies/${id}/webhooks${path}`, {
      token,
      ...(body === undefined ? {} : { body }),
    });
const events = ["company.*"];

async function made(
  company: TestCompany,
  more: object = {},
): Promise<{ id: string; secret: string }> {
  const { status, body } = await of(company)("POST", "", { url, events, ...more });
  assert.equal(status, 201, JSON.stringify(body));
  return { id: String(record(body["webhook"])["id"]), secret: String(body["secret"]) };
}

test("a webhook is made, read, changed and removed; its secret is shown once, its headers never", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const { id, secret } = await made(company, { headers: { Authorization: "Bearer theirs" } });
  assert.match(secret, /^whsec_/);
  const read = await ask("GET", `/${id}`);
  const { createdAt: _c, updatedAt: _u, ...webhook } = record(read.body["webhook"]);
  const wanted = { failures: 0, failingSince: null, lastError: null, formerSecretUntil: null };
  assert.deepEqual(webhook, { id, url, events, isEnabled: true, ...wanted });
  const listed = await ask("GET", "");
  assert.deepEqual(listed.body["webhooks"], [read.body["webhook"]]);
  assert.doesNotMatch(JSON.stringify([read.body, listed.body]), /whsec|theirs/);
  const changed = await ask("PATCH", `/${id}`, { events: ["*"], isEnabled: false });
  assert.deepEqual(record(changed.body["webhook"])["events"], ["*"]);
  const rotated = await ask("POST", `/${id}/rotate-secret`, { overlapHours: 2 });
  assert.notEqual(rotated.body["secret"], secret);
  const until = Date.parse(String(record(rotated.body["webhook"])["formerSecretUntil"]));
  assert.ok(Math.abs(until - Date.now() - 7_200_000) < 60_000);
  assert.equal((await ask("POST", `/${id}/test`)).body["code"], "WEBHOOK_DISABLED");
  assert.equal((await ask("DELETE", `/${id}`)).status, 200);
  assert.equal((await ask("GET", `/${id}`)).body["code"], "WEBHOOK_NOT_FOUND");
  const audited = await asSuperuser<{ action: string; text: string }>(
    world.database,
    "select action, details::text as text from audit_log where action like 'webhook.%' order by seq",
  );
  assert.deepEqual(
    audited.map(({ action }) => action),
    ["webhook.created", "webhook.changed", "webhook.secret_rotated", "webhook.removed"],
  );
  assert.doesNotMatch(JSON.stringify(audited), /whsec|theirs|\/in/);
});

test("addresses, events and headers that are not to be had are refused", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  for (const [bad, reason] of [
    ["http://169.254.169.254/latest/meta-data", "address"],
    ["https://10.0.0.1/", "address"],
    ["http://[::1]/", "address"],
    ["http://2130706434/", "address"],
    ["http://0x7f.2/", "address"],
    ["http://localhost.localdomain.invalid/", "unreachable"],
    ["http://8.8.8.8/", "bad_url"],
    ["https://user:word@8.8.8.8/", "bad_url"],
  ] as const) {
    const answer = await ask("POST", "", { url: bad, events });
    assert.deepEqual(
      [answer.status, answer.body["code"], answer.body["reason"]],
      [422, "WEBHOOK_REFUSED", reason],
      bad,
    );
  }
  for (const body of [
    { url: "ftp://127.0.0.1/", events },
    { url, events: [] },
    { url, events: ["message"] },
    { url, events: ["secret.pairing"] },
    { url, events, headers: { "Webhook-Signature": "v1,x" } },
    { url, events, headers: { Host: "x" } },
    { url, events, headers: { "x-a": "1\r\nx-b: 2" } },
    { url, events, headers: { "X-A": "1", "x-a": "2" } },
    { url, events, headers: { "x a": "1" } },
    { url, events, headers: { x_a: { b: "x".repeat(2_000) } } },
    { url, events, secret: "mine" },
  ]) {
    const answer = await ask("POST", "", body);
    assert.deepEqual(
      [answer.status, answer.body["code"]],
      [400, "INVALID_REQUEST"],
      JSON.stringify(body),
    );
  }
  const { id } = await made(company);
  const moved = await ask("PATCH", `/${id}`, { url: "http://169.254.169.254/" });
  assert.equal(moved.body["code"], "WEBHOOK_REFUSED");
  for (let count = 1; count < 20; count += 1) await made(company);
  assert.equal((await ask("POST", "", { url, events })).body["code"], "WEBHOOKS_MANY");
});

test("a test is one event for one webhook; its delivery is listed page by page", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const { id } = await made(company, { events: ["message.*"] });
  const { id: other } = await made(company);
  const ids: string[] = [];
  for (let count = 0; count < 3; count += 1) {
    const answer = await ask("POST", `/${id}/test`);
    assert.equal(answer.status, 202, JSON.stringify(answer.body));
    ids.unshift(String(answer.body["eventId"]));
  }
  const first = (await ask("GET", `/${id}/deliveries?limit=2`)).body;
  const rest = (await ask("GET", `/${id}/deliveries?limit=2&before=${String(first["next"])}`)).body;
  const listed = [...(first["deliveries"] as Json[]), ...(rest["deliveries"] as Json[])];
  assert.deepEqual(
    listed.map((one) => one["eventId"]),
    ids,
  );
  assert.equal(rest["next"], null);
  const [one] = listed;
  assert.deepEqual(
    [one?.["type"], one?.["state"], one?.["attempts"], one?.["isLate"]],
    ["company.webhook_tested", "waiting", 0, false],
  );
  assert.deepEqual((await ask("GET", `/${other}/deliveries`)).body["deliveries"], []);
  assert.deepEqual((await ask("GET", `/${id}/deliveries?state=dead`)).body["deliveries"], []);
  assert.equal((await ask("GET", `/${id}/deliveries?before=x`)).status, 400);
});

test("one, the dead and a time are had again; a code never", async () => {
  const company = await addCompany(world);
  const ask = of(company);
  const { id } = await made(company, { events: ["company.*", "pairing-code"] });
  const eventId = String((await ask("POST", `/${id}/test`)).body["eventId"]);
  const one = `/${id}/deliveries/${eventId}/replay`;
  assert.equal((await ask("POST", one)).body["code"], "DELIVERY_NOT_FOUND", "it waits");
  const end = (state: string) =>
    asSuperuser(
      world.database,
      `update deliveries set state = '${state}' where subscription_id = '${id}' and event_id = '${eventId}'`,
    );
  await end("delivered");
  assert.deepEqual((await ask("POST", `/${id}/replay`, { state: "dead" })).body["replayed"], 0);
  assert.equal((await ask("POST", one)).body["replayed"], 1);
  await end("dead");
  assert.equal((await ask("POST", `/${id}/replay`, { state: "dead" })).body["replayed"], 1);
  const companyNo = await companyNoOf(id);
  await noteDirectDelivery(
    notify,
    { companyNo, subscriptionId: id },
    {
      id: "evt_code",
      type: "pairing-code",
      attempts: 1,
      isDelivered: false,
      status: 500,
      error: null,
      latencyMs: 1,
    },
  );
  assert.equal((await ask("POST", `/${id}/deliveries/evt_code/replay`)).status, 404);
  assert.equal((await ask("POST", `/${id}/replay`, { state: "dead" })).body["replayed"], 0);
  // The company's creation was before the webhook: a time brings what was missed.
  const time = (from: number, to: number) => ({
    from: new Date(Date.now() + from).toISOString(),
    to: new Date(Date.now() + to).toISOString(),
  });
  const replayed = await ask("POST", `/${id}/replay`, time(-60_000, 60_000));
  assert.deepEqual(replayed.body, { success: true, replayed: 1, until: null });
  const types = (await ask("GET", `/${id}/deliveries?state=waiting`)).body["deliveries"] as Json[];
  assert.deepEqual(types.map((row) => String(row["type"])).toSorted(), [
    "company.created",
    "company.webhook_tested",
  ]);
  assert.equal((await ask("POST", `/${id}/replay`, time(60_000, 90_000))).body["replayed"], 0);
  assert.equal((await ask("POST", `/${id}/replay`, { from: "yesterday", to: "now" })).status, 400);
});

const companyNoOf = async (subscriptionId: string): Promise<number> => {
  const [row] = await asSuperuser<{ companyNo: number }>(
    world.database,
    `select company_no from webhook_subscriptions where subscription_id = '${subscriptionId}'`,
  );
  if (!row) throw new Error("there is no such webhook");
  return row.companyNo;
};

test("another company's webhook is as none; a token has sent only what it may see", async () => {
  const [mine, theirs] = [await addCompany(world), await addCompany(world)];
  const { id } = await made(theirs);
  const ask = of(mine);
  for (const [method, path, body] of [
    ["GET", "", undefined],
    ["PATCH", "", { isEnabled: false }],
    ["DELETE", "", undefined],
    ["POST", "/rotate-secret", {}],
    ["POST", "/test", {}],
    ["POST", "/replay", { state: "dead" }],
    ["GET", "/deliveries", undefined],
    ["POST", "/deliveries/evt_1/replay", {}],
  ] as const) {
    const answer = await ask(method, `/${id}${path}`, body);
    assert.deepEqual([answer.status, answer.body["code"]], [404, "WEBHOOK_NOT_FOUND"], path);
  }
  assert.equal((await of({ id: theirs.id, token: mine.token })("GET", "")).status, 404);
  const companyNo = await companyNoOf(id);
  const tokenWith = async (...scopes: Scope[]): Promise<string> =>
    withCompany(world.deps.appDb, companyNo, async (tx) => {
      const { secret } = await createToken(tx, { companyNo, name: "test", scopes, kind: "api" });
      return secret;
    });
  const manage = await tokenWith("manage");
  const asked = of({ id: theirs.id, token: manage });
  assert.equal((await asked("GET", `/${id}`)).status, 200);
  for (const wish of [["*"], ["message.received"], ["pairing-code"]]) {
    assert.equal((await asked("POST", "", { url, events: wish })).status, 403, wish.join());
  }
  assert.equal((await asked("PATCH", `/${id}`, { url: "http://127.0.0.1:10/" })).status, 403);
  const reader = of({ id: theirs.id, token: await tokenWith("read") });
  assert.equal((await reader("GET", `/${id}/deliveries`)).status, 200);
  assert.equal((await reader("POST", "", { url, events })).status, 403);
  const operator = of({ id: theirs.id, token: ADMIN_TOKEN });
  assert.equal((await operator("POST", "", { url, events: ["*", "pairing-code"] })).status, 201);
});
