import assert from "node:assert/strict";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { isAlive, startNats, startRedis } from "../src/index.ts";

/** Sends lines of a text protocol and returns what has come back once `end` is in it. */
async function talk(port: number, lines: string, end: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = "";
    const socket = connect({ port, host: "127.0.0.1" }, () => socket.write(lines));
    socket.setTimeout(5000, () => socket.destroy(new Error(`no ${end} in: ${received}`)));
    socket.once("error", reject);
    socket.on("data", (chunk) => {
      received += chunk.toString();
      if (!received.includes(end)) return;
      socket.destroy();
      resolve(received);
    });
  });
}

async function ask(port: number, subject: string, body: string): Promise<string> {
  const request = `PUB ${subject} reply ${Buffer.byteLength(body)}\r\n${body}\r\n`;
  return talk(port, `CONNECT {"verbose":false}\r\nSUB reply 1\r\n${request}`, "}\r\n");
}

const STREAM = JSON.stringify({ name: "EVENTS", subjects: ["session.>"], storage: "file" });

test("nats: a stream survives kill -9, an older copy can be put back, a wipe empties it", async () => {
  await using server = await startNats();
  const info = (): Promise<string> => ask(server.port, "$JS.API.STREAM.INFO.EVENTS", "");
  assert.match(await ask(server.port, "$JS.API.STREAM.CREATE.EVENTS", STREAM), /"created"/);
  await ask(server.port, "session.opened", "{}");
  assert.match(await info(), /"messages":1\b/);
  const created = /"created":"([^"]+)"/.exec(await info())?.[1];

  const { restore } = await server.saveStore();
  await ask(server.port, "session.opened", "{}");
  await server.kill("SIGKILL");
  await server.start();
  assert.match(await info(), /"messages":2\b/);

  await restore();
  assert.match(await info(), /"messages":1\b/);
  assert.ok(created !== undefined && (await info()).includes(created), "the same incarnation");

  await server.wipe();
  assert.match(await info(), /stream not found/);
});

test("nats: takes a configuration, for instance users", async () => {
  const config = `authorization { users = [{ user: "one", password: "secret" }] }`;
  await using server = await startNats({ config });
  const wrong = `CONNECT {"user":"one","pass":"wrong"}\r\n`;
  assert.match(await talk(server.port, wrong, "-ERR"), /Authorization Violation/);
  const right = `CONNECT {"user":"one","pass":"secret"}\r\nPING\r\n`;
  assert.match(await talk(server.port, right, "PONG"), /PONG/);
});

test("redis: answers on its own port, and is empty after a restart", async () => {
  await using server = await startRedis();
  assert.match(await talk(server.port, "SET key value\r\nGET key\r\n", "value"), /\+OK/);
  await server.restart();
  assert.match(await talk(server.port, "GET key\r\n", "$-1"), /\$-1/);
});

test("two servers of a kind run side by side, and leave neither process nor folder", async () => {
  const servers = await Promise.all([startRedis(), startRedis(), startNats(), startNats()]);
  assert.equal(new Set(servers.map(({ port }) => port)).size, 4);
  const pids = servers.map(({ pid }) => pid ?? 0);
  assert.ok(pids.every(isAlive));
  for (const server of servers) await server[Symbol.asyncDispose]();
  assert.ok(pids.every((pid) => !isAlive(pid)));
  for (const { dir } of servers) await assert.rejects(readdir(dir), /ENOENT/);
});

test("a folder given by the caller stays", async () => {
  await using outer = await startRedis();
  const dir = join(outer.dir, "mine");
  await mkdir(dir);
  await writeFile(join(dir, "note"), "");
  const server = await startRedis({ dir });
  await server[Symbol.asyncDispose]();
  assert.ok((await readdir(dir)).includes("note"));
});
