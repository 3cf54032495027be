import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath } from "node:url";
import { muteLibsignal, startWhatsAppSimulator } from "../src/index.ts";
import { Client, linkByQr, troubles, trustRoot } from "./client.ts";

muteLibsignal();
const folder = await mkdtemp(join(tmpdir(), "simulator-state-"));
after(() => rm(folder, { recursive: true }));

const MAIN = fileURLToPath(new URL("../src/whatsapp/main.ts", import.meta.url));

test("a linked device logs in again after a restart from the file, and not without it", async () => {
  const stateFile = join(folder, "state.json");
  const first = await startWhatsAppSimulator({ port: 0, stateFile });
  trustRoot(first.rootPublicKey);
  const phone = first.server.phone("491700000701", "Lena");
  phone.account.overrides = { maxDevices: 2 };
  const client = await linkByQr(first.url, phone);
  await client.until("app-state key", () => client.auth.creds.myAppStateKeyId);
  await client.end();
  await first.close();
  assert.equal((await stat(stateFile)).mode & 0o777, 0o600);

  await using second = await startWhatsAppSimulator({ port: 0, stateFile });
  assert.equal(second.rootPublicKey, first.rootPublicKey);
  const restored = second.server.phone("491700000701");
  assert.equal(restored.account.name, "Lena");
  assert.deepEqual(restored.account.overrides, { maxDevices: 2 });
  assert.deepEqual(restored.keys.identityPublic, phone.keys.identityPublic);
  const again = new Client(second.url, client.auth.copy());
  await again.open();
  await again.end();
  const another = new Client(second.url);
  assert.equal((await restored.scan(await another.qr())).id, 2);
  await another.close();
  assert.deepEqual(troubles(second.server), []);

  await using empty = await startWhatsAppSimulator({ port: 0 });
  trustRoot(empty.rootPublicKey);
  assert.equal((await new Client(empty.url, client.auth).close()).code, 401);
});

test("a file that is no state stops the start and is left alone", async () => {
  const stateFile = join(folder, "other.json");
  await writeFile(stateFile, '{"format":99}');
  await assert.rejects(startWhatsAppSimulator({ port: 0, stateFile }), /not a simulator state/);
  assert.equal(await readFile(stateFile, "utf8"), '{"format":99}');
});

async function startMain(...args: string[]) {
  const child = spawn(process.execPath, [MAIN, "--port", "0", "--quiet", ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  return {
    child,
    ...(JSON.parse(String(line)) as { url: string; httpUrl: string; rootPublicKey: string }),
  };
}

async function stopMain(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, "exit");
  child.kill(signal);
  assert.deepEqual(await exit, [0, null]);
}

test("the process: ready line, linking over HTTP, clean stop, restart", async () => {
  const stateFile = join(folder, "main.json");
  const one = await startMain("--state", stateFile, "--speed", "10");
  trustRoot(one.rootPublicKey);
  const options = (await (await fetch(`${one.httpUrl}/options`)).json()) as { speed: number };
  assert.equal(options.speed, 10);
  const client = new Client(one.url);
  const body = JSON.stringify({ qr: await client.qr() });
  const scan = `${one.httpUrl}/phones/491700000702/scan`;
  assert.equal((await fetch(scan, { method: "POST", body })).status, 200);
  await client.close();
  const open = new Client(one.url, client.auth);
  await open.open();
  await stopMain(one.child, "SIGTERM");
  assert.equal((await open.close()).code, 428);

  const two = await startMain("--state", stateFile);
  assert.equal(two.rootPublicKey, one.rootPublicKey);
  const again = new Client(two.url, client.auth);
  await again.open();
  await again.end();
  await stopMain(two.child, "SIGINT");
});
