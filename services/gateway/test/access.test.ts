import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { SCOPES, newNumberId } from "@manyline/contracts";
import type { Scope } from "@manyline/contracts";
import { createToken, inTransaction } from "@manyline/db";
import { ACCESS } from "../src/access.ts";
import { ADMIN_TOKEN, addCompany, addNumber, call, openPage, openWorld } from "./support.ts";
import type { TestCompany, World } from "./support.ts";

let world: World;
let company: TestCompany;
let foreign: TestCompany;
before(async () => {
  world = await openWorld();
  company = await addCompany(world);
  foreign = await addCompany(world);
  await addNumber(world, company);
});
after(() => world[Symbol.asyncDispose]());

type Route = { method: string; path: string; access: (typeof ACCESS)[string] };

/** Every route with its path filled in. */
function routes(companyId: string): Route[] {
  return Object.entries(ACCESS).flatMap(([key, access]) => {
    const [method = "", pattern = ""] = key.split(" ");
    const path = pattern.replace(":companyId", companyId).replace(":numberId", newNumberId());
    return access.kind === "public" ? [] : [{ method, path, access }];
  });
}

async function tokenWith(scopes: Scope[], owner = company): Promise<string> {
  const { companyNo } = await world.deps.platformDb
    .selectFrom("companies")
    .select("companyNo")
    .where("companyId", "=", owner.id)
    .executeTakeFirstOrThrow();
  const made = await inTransaction(world.deps.platformDb, (tx) =>
    createToken(tx, { companyNo, name: "test", scopes, kind: "api" }),
  );
  return made.secret;
}

function ask({ method, path }: Route, token?: string) {
  const body = method === "GET" ? undefined : {};
  return call(world, method, path, { ...(token === undefined ? {} : { token }), body });
}

test("every route that is not public refuses without a token, and with one nobody made", async () => {
  assert.ok(routes("x").length >= 20);
  for (const route of routes(company.id)) {
    const without = await ask(route);
    assert.equal(without.status, 401, `${route.method} ${route.path}`);
    assert.equal(without.body["code"], "UNAUTHORIZED");
    assert.match(without.headers.get("www-authenticate") ?? "", /^Bearer/);
  }
  for (const token of ["", "x", `mly_a_${"0".repeat(16)}_${"A".repeat(43)}`]) {
    const answer = await call(world, "GET", `/api/whatsapp/sessions/${company.id}/status`, {
      token,
    });
    assert.equal(answer.status, 401, token);
  }
});

test("to a foreign company's token a company looks like one that does not exist", async () => {
  for (const route of routes(company.id)) {
    if (!route.path.includes(company.id)) continue;
    const seen = await ask(route, foreign.token);
    const unknown = await ask(
      { ...route, path: route.path.replace(company.id, "nobody") },
      foreign.token,
    );
    assert.equal(seen.status, 404, `${route.method} ${route.path}`);
    assert.equal(seen.body["code"], "COMPANY_NOT_FOUND");
    const { requestId: _one, ...seenBody } = seen.body;
    const { requestId: _two, ...unknownBody } = unknown.body;
    assert.deepEqual(seenBody, unknownBody);
  }
  const unknown = await call(world, "GET", "/api/whatsapp/companies/nobody", {
    token: ADMIN_TOKEN,
  });
  assert.equal(unknown.body["code"], "COMPANY_NOT_FOUND");
});

test("every route refuses a token without its scope, and names the scope", async () => {
  for (const route of routes(company.id)) {
    const { access } = route;
    if (access.kind === "public") continue;
    const enough: readonly Scope[] = access.kind === "admin" ? [] : access.scopes;
    const others = SCOPES.filter((scope) => scope !== "admin" && !enough.includes(scope));
    const answer = await ask(route, await tokenWith(others));
    assert.equal(answer.status, 403, `${route.method} ${route.path}`);
    assert.equal(answer.body["code"], "FORBIDDEN");
    assert.match(String(answer.body["detail"]), new RegExp(`"${enough[0] ?? "admin"}"`));
  }
});

test("each single scope of a route's rule is enough", async () => {
  for (const route of routes(company.id)) {
    const { access } = route;
    if (access.kind !== "company" || route.path.endsWith("/events")) continue;
    for (const scope of access.scopes) {
      const answer = await ask(route, await tokenWith([scope]));
      assert.ok(![401, 403].includes(answer.status), `${scope}: ${route.method} ${route.path}`);
    }
  }
});

test("a page's cookie works on its number only, where pages may, and not as a token", async () => {
  const second = await addNumber(world, company);
  const cookie = await openPage(world, company, second);
  const status = `/api/whatsapp/sessions/${company.id}/status`;
  const own = await call(world, "GET", status, { cookie });
  assert.equal(own.status, 200);
  assert.equal((own.body["number"] as { id: string }).id, second);

  const list = await call(world, "GET", `/api/whatsapp/companies/${company.id}/numbers`, {
    token: company.token,
  });
  const [primary] = list.body["numbers"] as { id: string }[];
  const other = await call(world, "GET", `${status}?number=${String(primary?.id)}`, { cookie });
  assert.equal(other.body["code"], "NUMBER_NOT_FOUND");

  for (const [method, path] of [
    ["GET", `/api/whatsapp/companies/${company.id}`],
    ["GET", `/api/whatsapp/companies/${company.id}/numbers`],
    ["POST", `/api/whatsapp/sessions/${company.id}/pairing-link`],
    ["GET", "/api/whatsapp/companies"],
  ] as const) {
    const body = method === "GET" ? undefined : {};
    assert.equal((await call(world, method, path, { cookie, body })).status, 403, path);
  }
  const foreignStatus = `/api/whatsapp/sessions/${foreign.id}/status`;
  assert.equal(
    (await call(world, "GET", foreignStatus, { cookie })).body["code"],
    "COMPANY_NOT_FOUND",
  );
  const secret = cookie.slice(cookie.indexOf("=") + 1);
  assert.equal((await call(world, "GET", status, { token: secret })).status, 401);
  const asCookie = await call(world, "GET", status, {
    cookie: `manyline_pairing=${company.token}`,
  });
  assert.equal(asCookie.status, 401);
});

test("a cookie is refused from another site, a token in the address always", async () => {
  const cookie = await openPage(world, company);
  const path = `/api/whatsapp/sessions/${company.id}/cancel-pairing`;
  for (const headers of [{ "sec-fetch-site": "cross-site" }, { origin: "https://evil.example" }]) {
    const answer = await call(world, "POST", path, { cookie, headers, body: {} });
    assert.equal(answer.status, 403);
  }
  const own = { origin: "http://127.0.0.1:3000", "sec-fetch-site": "same-origin" };
  assert.equal((await call(world, "POST", path, { cookie, headers: own, body: {} })).status, 200);
  for (const name of ["token", "access_token", "Authorization"]) {
    const answer = await call(world, "GET", `/api/whatsapp/companies?${name}=${ADMIN_TOKEN}`, {
      token: ADMIN_TOKEN,
    });
    assert.equal(answer.status, 400, name);
    assert.match(String(answer.body["detail"]), /Authorization: Bearer/);
  }
});

test("a pairing link works once; every refusal looks the same", async () => {
  const link = await call(world, "POST", `/api/whatsapp/sessions/${company.id}/pairing-link`, {
    token: company.token,
  });
  assert.equal(link.status, 200);
  const [page, secret] = String(link.body["url"]).split("#");
  assert.equal(page, `http://127.0.0.1:3000/whatsapp-pairing.html?company=${company.id}`);
  const asToken = await call(world, "GET", `/api/whatsapp/sessions/${company.id}/status`, {
    token: String(secret),
  });
  assert.equal(asToken.status, 401, "a link is no token");

  const exchange = (token: unknown) =>
    call(world, "POST", "/api/whatsapp/link-exchange", { body: { token } });
  const good = await exchange(secret);
  assert.equal(good.status, 200);
  assert.equal(good.body["companyId"], company.id);
  const setCookie = good.headers.get("set-cookie") ?? "";
  assert.match(setCookie, /; Path=\/api\/whatsapp; .*HttpOnly; SameSite=Strict$/);
  assert.equal(good.headers.get("cache-control"), "no-store");

  const times: number[] = [];
  for (const token of [secret, "unknown", "", 5, company.token]) {
    const startedAt = performance.now();
    const refused = await exchange(token);
    times.push(performance.now() - startedAt);
    assert.equal(refused.status, 401);
    assert.equal(refused.body["code"], "LINK_INVALID");
    assert.equal(refused.headers.get("set-cookie"), null);
  }
  assert.ok(Math.min(...times) >= 145, `${times.join()} ms`);
});
