import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import { after, before, test } from "node:test";
import { FetchRefused, addressGuard, guardedGet, guardedPost, judgeUrl } from "../src/index.ts";
import type { FetchRefusal } from "../src/index.ts";

let port = 0;
let seen: string[] = [];
const answer: RequestListener = (request, response) => {
  seen.push(request.url ?? "");
  if (request.url === "/file") {
    response.writeHead(200, { "content-type": "image/png", "content-length": "3" }).end("abc");
  } else if (request.url === "/moved") {
    response.writeHead(302, { location: "/file" }).end();
  } else if (request.url === "/inside") {
    response.writeHead(302, { location: `http://127.0.0.2:${port}/file` }).end();
  } else if (request.url === "/round") {
    response.writeHead(307, { location: "/round" }).end();
  } else if (request.url === "/slow") {
    response.writeHead(200).write("a");
  } else if (request.url === "/echo") {
    response.writeHead(427, { "x-got": String(request.headers["x-mine"]) });
    request.pipe(response);
  } else response.writeHead(404).end();
};
const server = createServer(answer);
before(async () => {
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const address = server.address();
  if (typeof address === "object" && address) ({ port } = address);
});
after(() => {
  server.closeAllConnections();
  server.close();
});

const local = addressGuard(["127.0.0.1", "::1"]);
const get = (url: string, guard = local, timeoutMs = 5_000) =>
  guardedGet(url, { guard, timeoutMs });
const isRefused = (reason: FetchRefusal) => (error: unknown) =>
  error instanceof FetchRefused && error.reason === reason;

test("a file, also behind a redirect and a name", async () => {
  for (const host of ["127.0.0.1", "localhost"]) {
    const found = await get(`http://${host}:${port}/moved`);
    assert.deepEqual([found.contentType, found.contentLength], ["image/png", 3]);
    assert.equal(Buffer.concat(await found.body.toArray()).toString(), "abc");
  }
});

test("what leads into our network is refused before anybody is asked", async () => {
  const closed = addressGuard();
  seen = [];
  for (const host of [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "0x7f.1",
    "2130706433",
    "[::ffff:7f00:1]",
  ]) {
    await assert.rejects(get(`http://${host}:${port}/file`, closed), isRefused("address"), host);
  }
  assert.deepEqual(seen, []);
});

test("a redirect is judged like the first address", async () => {
  await assert.rejects(get(`http://127.0.0.1:${port}/inside`), isRefused("address"));
  await assert.rejects(get(`http://127.0.0.1:${port}/round`), isRefused("redirects"));
});

test("other protocols, credentials, missing files, nobody there", async () => {
  for (const url of ["file:///etc/passwd", "ftp://8.8.8.8/a", "http://a:b@8.8.8.8/", "no url"]) {
    await assert.rejects(get(url), isRefused("bad_url"), url);
  }
  await assert.rejects(get(`http://127.0.0.1:${port}/none`), isRefused("status"));
  await assert.rejects(get("http://127.0.0.1:9/"), isRefused("unreachable"));
});

test("the time is for all of it, the body included", async () => {
  const { body } = await get(`http://127.0.0.1:${port}/slow`, local, 300);
  await assert.rejects(body.toArray(), isRefused("timeout"));
});

const post = (path: string, more: Partial<Parameters<typeof guardedPost>[1]> = {}) =>
  guardedPost(`http://127.0.0.1:${port}${path}`, {
    guard: local,
    timeoutMs: 5_000,
    headers: { "x-mine": "yes" },
    body: Buffer.from("hello"),
    maxBytes: 5,
    ...more,
  });

test("a POST is answered with whatever comes, and follows nobody", async () => {
  const reply = await post("/echo");
  assert.deepEqual([reply.status, reply.body.toString()], [427, "hello"]);
  assert.equal((await post("/moved")).status, 302);
  await assert.rejects(post("/echo", { maxBytes: 4 }), isRefused("too_large"));
  await assert.rejects(post("/slow", { timeoutMs: 300 }), isRefused("timeout"));
  seen = [];
  await assert.rejects(post("/echo", { guard: addressGuard() }), isRefused("address"));
  assert.deepEqual(seen, []);
});

test("an address that is to be called later is public and encrypted, or was opened", async () => {
  await judgeUrl("https://8.8.8.8/flows", addressGuard());
  await judgeUrl("http://127.0.0.1:1/flows", local);
  const judge = (url: string) => judgeUrl(url, addressGuard());
  await assert.rejects(judge("http://8.8.8.8/flows"), isRefused("bad_url"));
  await assert.rejects(judge("https://user:pw@8.8.8.8/"), isRefused("bad_url"));
  await assert.rejects(judge("https://localhost/flows"), isRefused("address"));
  await assert.rejects(judge("https://[::1]/flows"), isRefused("address"));
  await assert.rejects(judge("https://nowhere.invalid/"), isRefused("unreachable"));
});
