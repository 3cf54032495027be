import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "node:test";
import { createRest, type Followed, RestError } from "./rest.ts";

test("a refusal is said by its code and sentences; the request only where nobody gave a code", () => {
  const of = (status: number, body: unknown): string =>
    new RestError("POST /api/x", status, body).message;
  const problem = { code: "SHARDS_APART", title: "Apart.", detail: "They are apart: 1, 2." };
  assert.equal(
    of(409, { ...problem, remedy: "Pin both." }),
    "SHARDS_APART: They are apart: 1, 2. Pin both.",
  );
  assert.equal(of(404, { code: "NOT_FOUND", title: "Nothing." }), "NOT_FOUND: Nothing.");
  const errors = [{ field: "at", message: "is the first company" }];
  assert.equal(
    of(400, { code: "INVALID_REQUEST", title: "Bad.", errors }),
    "INVALID_REQUEST: at is the first company.",
  );
  assert.equal(of(502, undefined), "POST /api/x: 502");
});

test("a stream is followed event by event, however its bytes are cut, until it ends or nobody listens", async () => {
  const server = createServer((request, response) => {
    if (request.headers.authorization !== "Bearer admin") {
      response.writeHead(401).end('{"code":"UNAUTHORIZED","title":"No."}');
      return;
    }
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(": hello\n\nid: 1\nevent: a.b\nda");
    setImmediate(() => {
      response.write('ta: {"x":"é"}\n\nevent: two\ndata: 1\ndata: 2\n\n');
      if (request.url === "/ends") response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const abort = new AbortController();
  const follow = async (path: string, token = "admin"): Promise<Followed[]> => {
    const seen: Followed[] = [];
    const stream = createRest(url, token).follow?.(path, abort.signal) ?? [];
    for await (const one of stream) {
      seen.push(one);
      if (path === "/stays" && seen.length === 2) abort.abort();
    }
    return seen;
  };
  const both = [
    { event: "a.b", data: '{"x":"é"}' },
    { event: "two", data: "1\n2" },
  ];
  try {
    assert.deepEqual(await follow("/ends"), both);
    await assert.rejects(follow("/ends", "other"), RestError);
    assert.deepEqual(await follow("/stays"), both);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});
