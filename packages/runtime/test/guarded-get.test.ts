import assert from "node:assert/strict";
import dns from "node:dns";
import { createServer } from "node:http";
import type { RequestListener } from "node:http";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";
import { after, before, test } from "node:test";
import type { TestContext } from "node:test";
import {
  FetchRefused,
  addressGuard,
  guardedGet,
  guardedPost,
  judgeUrl,
  KeptConnections,
} from "../src/index.ts";
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
  } else if (request.url === "/elsewhere") {
    response.writeHead(302, { location: `http://files.example:${port}/file` }).end();
  } else if (request.url === "/packed") {
    response.writeHead(200, { "content-encoding": "gzip" }).end("bomb");
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
const resolver = dns.promises.Resolver.prototype;
type Found = (error: Error | null, addresses?: dns.LookupAddress[]) => void;
const failure = (code: string): Error => Object.assign(new Error(code), { code });

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

/** What a name stands for, each time somebody asks. */
function resolveTo(t: TestContext, ...answers: readonly (readonly string[])[]): () => number {
  const ask = (version: number) => {
    let count = 0;
    const { mock } = t.mock.method(resolver, `resolve${version}` as "resolve4", () => {
      const addresses = answers[Math.min(count++, answers.length - 1)] ?? [];
      return Promise.resolve(addresses.filter((address) => net.isIP(address) === version));
    });
    return () => mock.callCount();
  };
  ask(6);
  return ask(4);
}

function lookUpBy(t: TestContext, lookUp: (name: string, found: Found) => void): void {
  const asked = (name: string, _options: object, found: Found): void => lookUp(name, found);
  t.mock.method(dns, "lookup", asked as typeof dns.lookup);
  syncBuiltinESMExports();
  t.after(() => {
    t.mock.restoreAll();
    syncBuiltinESMExports();
  });
}

test("names that hang hold up no other: the system is asked for one at a time that DNS does not know", async (t) => {
  const answers: Record<string, string[] | string> = { "files.example": ["127.0.0.1"] };
  answers["hangs.example"] = "ETIMEOUT";
  t.mock.method(resolver, "resolve6", () => Promise.reject(failure("ENODATA")));
  t.mock.method(resolver, "resolve4", (name: string) => {
    const known = answers[name] ?? "ENOTFOUND";
    return typeof known === "string" ? Promise.reject(failure(known)) : Promise.resolve(known);
  });
  const asked: { name: string; found: Found }[] = [];
  lookUpBy(t, (name, found) => asked.push({ name, found }));
  const names = () => asked.map(({ name }) => name);
  const first = get(`http://one.internal:${port}/file`, local, 400);
  const second = get(`http://two.internal:${port}/file`);
  await assert.rejects(get(`http://hangs.example:${port}/file`), isRefused("unreachable"));
  (await get(`http://files.example:${port}/file`)).body.destroy();
  await assert.rejects(first, isRefused("timeout"));
  assert.deepEqual(names(), ["one.internal"]);
  asked[0]?.found(failure("EAI_AGAIN"));
  while (asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(names(), ["one.internal", "two.internal"]);
  asked[1]?.found(null, [{ address: "127.0.0.1", family: 4 }]);
  (await second).body.destroy();
});

test("a name that stands for another address later leads to the one that was judged", async (t) => {
  const asked = resolveTo(t, ["127.0.0.1"], ["10.0.0.1"]);
  const { body } = await get(`http://files.example:${port}/file`);
  assert.equal(Buffer.concat(await body.toArray()).toString(), "abc");
  assert.equal(asked(), 1);
});

test("a redirect to the same name is judged by what it stands for then", async (t) => {
  resolveTo(t, ["127.0.0.1"], ["127.0.0.2"]);
  await assert.rejects(get(`http://files.example:${port}/elsewhere`), isRefused("address"));
});

test("a name with one address inside among public ones is refused", async (t) => {
  resolveTo(t, ["127.0.0.1", "::ffff:10.0.0.1"]);
  await assert.rejects(get(`http://files.example:${port}/file`), isRefused("address"));
});

test("what comes packed is not unpacked", async () => {
  await assert.rejects(get(`http://127.0.0.1:${port}/packed`), isRefused("encoding"));
});

const HOSTILE: readonly (readonly [string, (socket: net.Socket) => void, FetchRefusal])[] = [
  [
    "changes the protocol",
    (socket) => socket.write("HTTP/1.1 101 Fine\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"),
    "unreachable",
  ],
  ["speaks no HTTP", (socket) => socket.write("SSH-2.0-OpenSSH_9.6\r\n"), "unreachable"],
  ["closes without a word", (socket) => socket.end(), "unreachable"],
  ["says nothing", () => undefined, "timeout"],
  ["sends header after header", (socket) => flood(socket, "x-more: 1\r\n"), "unreachable"],
  [
    "sends interim answers for ever",
    (socket) => drip(socket, "HTTP/1.1 103 Early\r\n\r\n"),
    "timeout",
  ],
];

function flood(socket: net.Socket, line: string): void {
  socket.write("HTTP/1.1 200 OK\r\n");
  const more = line.repeat(1_000);
  const pour = (): void => {
    while (!socket.destroyed && socket.write(more));
  };
  socket.on("drain", pour);
  pour();
}

function drip(socket: net.Socket, interim: string): void {
  const timer = setInterval(() => socket.write(interim), 20);
  socket.once("close", () => clearInterval(timer));
}

for (const [what, misbehave, reason] of HOSTILE) {
  test(`a server that ${what} is given up`, { timeout: 5_000 }, async () => {
    const sockets = new Set<net.Socket>();
    const hostile = net.createServer((socket) => {
      sockets.add(socket);
      socket.on("error", () => undefined).once("data", () => misbehave(socket));
    });
    await new Promise<void>((resolve) => {
      hostile.listen(0, "127.0.0.1", resolve);
    });
    const address = hostile.address();
    const at = typeof address === "object" && address ? address.port : 0;
    try {
      await assert.rejects(get(`http://127.0.0.1:${at}/`, local, 500), isRefused(reason));
    } finally {
      for (const socket of sockets) socket.destroy();
      hostile.close();
    }
  });
}

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

test("a connection is kept for one party and its judged addresses; what it leads to is judged each time", async (t) => {
  const peers = new Set<net.Socket>();
  const keeping = createServer((request, response) => {
    peers.add(request.socket);
    // One that died while it lay idle.
    if (request.headers["x-end"] && asked++ === 0) request.socket.destroy();
    else request.resume().once("end", () => response.end("ok"));
  });
  let asked = 0;
  await new Promise<void>((resolve) => {
    keeping.listen(0, resolve);
  });
  const address = keeping.address();
  const at = typeof address === "object" && address ? address.port : 0;
  const connections = new KeptConnections({ most: 2 });
  const guard = addressGuard(["127.0.0.1", "127.0.0.3", "::ffff:127.0.0.1"]);
  const ask = async (party = "one", headers = {}): Promise<number> => {
    const url = `http://files.example:${at}/`;
    const kept = { connections, party };
    const body = Buffer.from("{}");
    const reply = await guardedPost(url, {
      guard,
      kept,
      headers,
      body,
      timeoutMs: 5_000,
      maxBytes: 5,
    });
    assert.equal(reply.body.toString(), "ok");
    // The agent has it back in the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    return peers.size;
  };
  try {
    const [one, other, inside] = [["127.0.0.1"], ["127.0.0.3"], ["127.0.0.1", "10.0.0.1"]];
    const count = resolveTo(t, one, one, one, other, inside, one, one);
    assert.deepEqual([await ask(), await ask()], [1, 1]);
    assert.equal(await ask("two"), 2, "another party's is its own");
    assert.equal(await ask(), 3, "the name stands for another address");
    await assert.rejects(ask(), isRefused("address"), "though a connection is there");
    assert.equal(await ask("one"), 3, "the first one is there yet");
    assert.equal(await ask("one", { "x-end": "1" }), 4, "and when it is broken a new one is taken");
    assert.equal(count(), 8, "each time, and once more for the new one");
  } finally {
    connections.close();
    keeping.closeAllConnections();
    keeping.close();
  }
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
