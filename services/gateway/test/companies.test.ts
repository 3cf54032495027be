import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { listAudit, verifyAuditChain } from "@manyline/db";
import { ADMIN_TOKEN, addCompany, addNumber, call, openWorld, record } from "./support.ts";
import type { World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld();
});
after(() => world[Symbol.asyncDispose]());

const URL = "/api/whatsapp/companies";

test("creating answers the company and, once, its token; defaults; phone in stored form", async () => {
  const created = await call(world, "POST", URL, {
    token: ADMIN_TOKEN,
    body: { id: "962302", name: "Salon", country: "RU", phone: "8 (900) 123-45-67" },
  });
  assert.equal(created.status, 201);
  const company = record(created.body["company"]);
  assert.equal(created.body["success"], true);
  assert.equal(company["id"], "962302");
  assert.equal(company["phone"], "79001234567");
  assert.equal(company["language"], "en");
  assert.equal(company["timezone"], "UTC");
  assert.equal(company["country"], "RU");
  assert.equal(company["whatsappEnabled"], true);
  assert.deepEqual(company["whatsappConfig"], {});
  const token = String(created.body["token"]);
  assert.match(token, /^mly_a_/);

  const read = await call(world, "GET", `${URL}/962302`, { token });
  assert.deepEqual(read.body, { success: true, company });
  const again = await call(world, "POST", URL, {
    token: ADMIN_TOKEN,
    body: { id: "962302", name: "Other" },
  });
  assert.equal(again.status, 409);
  assert.equal(again.body["code"], "COMPANY_EXISTS");
});

test("what is wrong is said field by field", async () => {
  const post = (body: unknown) => call(world, "POST", URL, { token: ADMIN_TOKEN, body });
  for (const id of ["_", "a__wpp__b", "a b", "a.b", "x".repeat(65)]) {
    assert.equal((await post({ id, name: "x" })).body["code"], "INVALID_COMPANY_ID", id);
  }
  const wrong = await post({ id: "ok", phone: 5, naem: "x" });
  assert.equal(wrong.status, 400);
  assert.equal(wrong.headers.get("content-type"), "application/problem+json; charset=utf-8");
  const fields = (wrong.body["errors"] as { field: string }[]).map(({ field }) => field).toSorted();
  assert.deepEqual(fields, ["naem", "name", "phone"]);
  const zone = await post({ id: "ok", name: "x", timezone: "Mars/Olympus" });
  assert.deepEqual(zone.body["errors"], [
    { field: "timezone", message: "must be an IANA time zone" },
  ]);
  assert.equal(
    (await post({ id: "ok", name: "x", phone: "12" })).body["code"],
    "INVALID_PHONE_FORMAT",
  );
  assert.equal(
    (await post({ id: "ok", name: "x", language: "de" })).body["code"],
    "INVALID_REQUEST",
  );
});

test("what Postgres cannot hold is refused, field by field; other letters are not", async () => {
  const text = ["name", "adminEmail", "notificationEmail", "timezone", "phone"];
  for (const odd of ["\0", "\n", "\u001b", "\u0085", "\ud800"]) {
    const bodies: [string, Record<string, unknown>][] = [
      ...text.map((field): [string, Record<string, unknown>] => [field, { [field]: `a${odd}@b` }]),
      ["whatsappConfig.returnUrl", { whatsappConfig: { returnUrl: `https://a/${odd}` } }],
      ["whatsappConfig.smsProvider", { whatsappConfig: { smsProvider: `a${odd}` } }],
    ];
    for (const [field, body] of bodies) {
      const answer = await call(world, "POST", URL, {
        token: ADMIN_TOKEN,
        body: { id: "odd", name: "x", ...body },
      });
      const label = `${field} ${JSON.stringify(odd)} ${JSON.stringify(answer.body)}`;
      assert.equal(answer.status, 400, label);
      assert.equal((answer.body["errors"] as { field: string }[])[0]?.field, field, label);
    }
  }
  const company = await addCompany(world, { name: "Салон «Ёж» 🦔 ñ" });
  const path = `${URL}/${company.id}/numbers`;
  const number = { token: company.token, body: { name: "a\0" } };
  assert.equal((await call(world, "POST", path, number)).status, 400);
  const id = await addNumber(world, company, { name: "🦔" });
  assert.equal((await call(world, "PATCH", `${path}/${id}`, number)).status, 400);
});

test("a company changes its own facts, its number limit is the operator's", async () => {
  const company = await addCompany(world, { whatsappConfig: { smsNotifications: true } });
  const path = `${URL}/${company.id}`;
  const changed = await call(world, "PATCH", path, {
    token: company.token,
    body: { name: "New", phone: "+7 900 765 43 21", whatsappConfig: { smsProvider: "twilio" } },
  });
  assert.equal(changed.status, 200);
  const seen = record(changed.body["company"]);
  assert.equal(seen["name"], "New");
  assert.equal(seen["phone"], "79007654321");
  assert.deepEqual(seen["whatsappConfig"], { smsNotifications: true, smsProvider: "twilio" });

  const limit = { whatsappConfig: { maxNumbersPerCompany: 500 } };
  const refused = await call(world, "PATCH", path, { token: company.token, body: limit });
  assert.equal(refused.status, 403);
  assert.equal((await call(world, "PATCH", path, { token: ADMIN_TOKEN, body: limit })).status, 200);
  const cleared = await call(world, "PATCH", path, { token: company.token, body: { phone: null } });
  assert.equal(record(cleared.body["company"])["phone"], null);
  const empty = await call(world, "PATCH", path, { token: company.token, body: {} });
  assert.equal(empty.status, 400);
});

test("the list goes page by page", async () => {
  for (let i = 0; i < 3; i += 1) await addCompany(world);
  const seen: unknown[] = [];
  let path = `${URL}?limit=2`;
  for (;;) {
    const { body } = await call(world, "GET", path, { token: ADMIN_TOKEN });
    const companies = body["companies"] as { id: string }[];
    assert.ok(companies.length <= 2);
    seen.push(...companies.map(({ id }) => id));
    const { next } = body;
    if (typeof next !== "string") break;
    path = `${URL}?limit=2&after=${next}`;
  }
  assert.equal(new Set(seen).size, seen.length);
  assert.ok(seen.length >= 4);
  const list = (last: string) => call(world, "GET", `${URL}?after=${last}`, { token: ADMIN_TOKEN });
  for (const last of ["2147483648", "9999999999", "0"]) {
    assert.equal((await list(last)).status, 400, last);
  }
  assert.deepEqual((await list("999999999")).body["companies"], []);
});

test("deleting takes everything, the token included; only the operator may", async () => {
  const company = await addCompany(world);
  const path = `${URL}/${company.id}`;
  assert.equal((await call(world, "DELETE", path, { token: company.token })).status, 403);
  const deleted = await call(world, "DELETE", path, { token: ADMIN_TOKEN });
  assert.deepEqual(deleted.body, { success: true, companyId: company.id, stillListed: [] });
  assert.equal((await call(world, "GET", path, { token: company.token })).status, 401);
  assert.equal((await call(world, "GET", path, { token: ADMIN_TOKEN })).status, 404);
});

test("every change is an event and an audit entry", async () => {
  const company = await addCompany(world);
  await call(world, "PATCH", `${URL}/${company.id}`, {
    token: company.token,
    body: { name: "Renamed" },
  });
  const { platformDb } = world.deps;
  const events = await platformDb
    .selectFrom("whatsappEvents")
    .select(["type", "subject", "envelope"])
    .where("subject", "like", `%.${company.id}.%`)
    .orderBy("eventNo")
    .execute();
  assert.deepEqual(
    events.map(({ subject }) => subject),
    [`company.created.${company.id}._`, `company.updated.${company.id}._`],
  );
  const updated = record(events[1]?.envelope.data);
  assert.deepEqual(updated["changed"], ["name"]);

  const row = await platformDb
    .selectFrom("companies")
    .select("companyNo")
    .where("companyId", "=", company.id)
    .executeTakeFirstOrThrow();
  const [entry] = await listAudit(platformDb, row.companyNo, { limit: 10 });
  assert.equal(entry?.action, "company.updated");
  assert.match(entry.actor, /^token:/);
  assert.deepEqual(await verifyAuditChain(platformDb, row.companyNo), { ok: true, entries: 1 });
});

test("a company's tokens: listed, made with what they may do, ended at once; for the operator alone", async () => {
  const { id: companyId, token } = await addCompany(world);
  const path = `${URL}/${companyId}/tokens`;
  const ask = (method: string, to = path, body?: unknown) =>
    call(world, method, to, { token: ADMIN_TOKEN, ...(body === undefined ? {} : { body }) });
  const made = await ask("POST", path, { name: "crm", scopes: ["read"] });
  assert.equal(made.status, 201);
  assert.equal(made.headers.get("cache-control"), "no-store");
  const [secret, id] = [String(made.body["token"]), String(made.body["id"])];
  const listed = (await ask("GET")).body["tokens"] as Record<string, unknown>[];
  const own = listed.find((one) => one["id"] === id);
  assert.deepEqual([own?.["name"], own?.["kind"], own?.["scopes"]], ["crm", "api", ["read"]]);
  assert.ok(!JSON.stringify(listed).includes(secret));
  assert.equal((await call(world, "GET", `${URL}/${companyId}`, { token: secret })).status, 200);
  const change = { token: secret, body: { name: "x" } };
  assert.equal((await call(world, "PATCH", `${URL}/${companyId}`, change)).status, 403);
  assert.equal((await call(world, "GET", path, { token })).status, 403);
  assert.equal((await ask("DELETE", `${path}/${id}`)).status, 200);
  assert.equal((await ask("DELETE", `${path}/${id}`)).status, 404);
  assert.equal((await call(world, "GET", `${URL}/${companyId}`, { token: secret })).status, 401);
  assert.equal((await ask("POST", path, { name: "x", scopes: ["admin"] })).status, 400);
});
