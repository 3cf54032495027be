import assert from "node:assert/strict";
import { connect } from "node:net";
import { after, before, test } from "node:test";
import { Problem } from "@manyline/contracts";
import { Compile } from "typebox/compile";
import { ADMIN_TOKEN, addCompany, call, openWorld, record } from "./support.ts";
import type { Answer, World } from "./support.ts";

let world: World;
before(async () => {
  world = await openWorld({
    env: { TOKEN_REQUESTS_PER_MINUTE: "40", FAILED_LOGINS_PER_MINUTE: "10" },
  });
});
after(() => world[Symbol.asyncDispose]());

const isProblem = Compile(Problem);
function assertProblem(answer: Answer, status: number, code: string): void {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.ok(isProblem.Check(answer.body), JSON.stringify(answer.body));
  assert.equal(answer.body["code"], code);
  assert.equal(answer.headers.get("content-type"), "application/problem+json; charset=utf-8");
  assert.equal(answer.headers.get("cache-control"), "no-store");
  assert.equal(answer.headers.get("x-request-id"), answer.body["requestId"]);
}

async function send(
  method: string,
  path: string,
  body: string | undefined,
  contentType: string,
): Promise<Answer> {
  const response = await fetch(`${world.url}${path}`, {
    method,
    headers: { authorization: `Bearer ${ADMIN_TOKEN}`, "content-type": contentType },
    ...(body === undefined ? {} : { body }),
  });
  const answer = record(await response.json());
  return { status: response.status, headers: response.headers, body: answer };
}

test("unknown paths, wrong methods, wrong and broken bodies are problems with a code", async () => {
  const token = ADMIN_TOKEN;
  assertProblem(await call(world, "GET", "/nowhere", { token }), 404, "NOT_FOUND");
  assertProblem(await call(world, "GET", "/api/whatsapp/nowhere"), 404, "NOT_FOUND");
  const wrong = await call(world, "PUT", "/api/whatsapp/companies", { token, body: {} });
  assertProblem(wrong, 405, "METHOD_NOT_ALLOWED");
  assert.equal(wrong.headers.get("allow"), "GET, POST");

  const path = "/api/whatsapp/companies";
  const xml = await send("POST", path, "<a/>", "application/xml");
  assertProblem(xml, 415, "UNSUPPORTED_MEDIA_TYPE");
  assertProblem(await send("POST", path, "a=1", "text/plain"), 415, "UNSUPPORTED_MEDIA_TYPE");
  assertProblem(await send("POST", path, "{oops", "application/json"), 400, "INVALID_REQUEST");
  assertProblem(await send("POST", path, "[]", "application/json"), 400, "INVALID_REQUEST");
  const proto = '{"id":"a","name":"b","__proto__":{"x":1}}';
  assertProblem(await send("POST", path, proto, "application/json"), 400, "INVALID_REQUEST");
  const large = JSON.stringify({ id: "a", name: "x".repeat(1_100_000) });
  assertProblem(await send("POST", path, large, "application/json"), 413, "PAYLOAD_TOO_LARGE");
  const noId = await call(world, "GET", "/api/whatsapp/companies/a%20b", { token });
  assertProblem(noId, 400, "INVALID_COMPANY_ID");
  assertProblem(await call(world, "GET", "/%ff", { token }), 400, "INVALID_REQUEST");
  const query = await call(world, "GET", `${path}?limit=0`, { token });
  assertProblem(query, 400, "INVALID_REQUEST");
});

test("a request that is no HTTP is answered and closed", async () => {
  const { port } = new URL(world.url);
  const socket = connect(Number(port), "127.0.0.1");
  const closed = new Promise((resolve) => {
    socket.once("close", resolve);
  });
  socket.on("error", () => undefined);
  socket.resume();
  socket.write("NONSENSE\r\n\r\n");
  await closed;
});

test("too many requests with one token, and too many refused ones, are told to wait", async () => {
  const company = await addCompany(world);
  const path = `/api/whatsapp/companies/${company.id}`;
  const answers: Answer[] = [];
  // The count starts anew with each minute, so twice the limit is over it in any case.
  for (let i = 0; i < 82; i += 1)
    answers.push(await call(world, "GET", path, { token: company.token }));
  const refused = answers.find(({ status }) => status === 429);
  assert.ok(refused);
  assertProblem(refused, 429, "TOO_MANY_REQUESTS");
  const retryAfter = Number(refused.headers.get("retry-after"));
  assert.ok(retryAfter >= 1 && retryAfter <= 60);
  assert.equal((await call(world, "GET", path, { token: ADMIN_TOKEN })).status, 200);

  const guesses: number[] = [];
  for (let i = 0; i < 22; i += 1) {
    guesses.push((await call(world, "GET", path, { token: `guess${i}` })).status);
  }
  assert.ok(guesses.includes(401) && guesses.includes(429), guesses.join());
  assert.equal(
    (await call(world, "GET", path, { token: ADMIN_TOKEN })).status,
    200,
    "known to be good",
  );
});

test("pages: strict policy, no storing, no referrer; assets for ever; nothing outside the folder", async () => {
  const page = await fetch(`${world.url}/whatsapp-pairing.html?company=962302`);
  assert.equal(page.status, 200);
  assert.equal(page.headers.get("cache-control"), "no-store");
  assert.equal(page.headers.get("referrer-policy"), "no-referrer");
  assert.equal(
    page.headers.get("content-security-policy"),
    "default-src 'self'; img-src 'self' data:; connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
  );
  assert.match(await page.text(), /<title>Pairing/);
  const table = await fetch(`${world.url}/capabilities.html`);
  assert.match(await table.text(), /<title>Capabilities/);
  const asset = await fetch(`${world.url}/assets/pairing-abc123.js`);
  assert.equal(asset.headers.get("content-type"), "text/javascript; charset=utf-8");
  assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
  for (const name of [
    "..%2fwhatsapp-pairing.html",
    "%2e%2e/x.js",
    "a/b.js",
    ".env",
    "nothing.js",
  ]) {
    assert.equal((await fetch(`${world.url}/assets/${name}`)).status, 404, name);
  }
  assert.match(await (await fetch(world.url)).text(), /openapi\.json/);
});

test("the reading page and the document need no token and fetch nothing from elsewhere", async () => {
  const reading = await fetch(`${world.url}/docs/`);
  assert.equal(reading.status, 200);
  const html = await reading.text();
  assert.doesNotMatch(html, /(src|href)="(https?:)?\/\//);
  for (const [, path] of html.matchAll(/(?:src|href)="\.?\/?([^"]+\.(?:js|css))"/g)) {
    const url = new URL(String(path), `${world.url}/docs/`);
    assert.equal((await fetch(url)).status, 200, url.pathname);
  }
  const document = await fetch(`${world.url}/openapi.json`);
  assert.equal(record(await document.json())["openapi"], "3.1.0");
});

test("health and metrics; no company in a metric's label", async () => {
  const ready = await call(world, "GET", "/health/ready");
  assert.deepEqual(ready.body, {
    status: "ok",
    checks: { postgres: "ok" },
    optional: { nats: "ok", redis: "ok" },
  });
  assert.equal((await call(world, "GET", "/health/live")).status, 200);
  assert.equal((await fetch(`${world.url}/metrics`)).status, 200);
});
