import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import type { Envelope } from "@manyline/contracts";
import { asSuperuser } from "@manyline/db/testing";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { freePort, until } from "@manyline/testkit";
import {
  addLine,
  entryOf,
  type Line,
  listen,
  openRoom,
  post,
  type Room,
  SECRET,
  textMessage,
  VERIFY_TOKEN,
  webhookOf,
} from "./room.ts";
import { addWppLine, connectMessage, postWpp, type WppLine } from "./wpp-room.ts";

/** `KILLS=30` for a long run. */
const KILLS = Number(process.env["KILLS"] ?? 4);
const IMAGE = Buffer.alloc(30_000, "an image").toString("base64");

let room: Room;
let lines: Line[];
let wppLines: WppLine[];
let folder: string;
let port: number;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), "kills-media-"));
  room = await openRoom({ isBare: true, env: { MEDIA_STORE: folder } });
  lines = [await addLine(room), await addLine(room), await addLine(room)];
  wppLines = [await addWppLine(room), await addWppLine(room)];
  port = await freePort();
});
after(async () => {
  await room[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type Running = { child: ChildProcess; output: () => string };

/** As it runs in production: its own process, telemetry loaded before it. */
async function start(): Promise<Running> {
  const child = spawn(
    process.execPath,
    ["--import", "@manyline/runtime/telemetry", "src/main.ts"],
    {
      cwd: new URL("..", import.meta.url),
      env: { ...room.env, PATH: process.env["PATH"], PORT: String(port), LOG_LEVEL: "debug" },
    },
  );
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      output = `${output}${chunk.toString()}`.slice(-200_000);
    });
  }
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/health/ready`)).status === 200, {
    deadlineMs: 20_000,
    label: "ready",
  });
  return { child, output: () => output };
}

test("a process logs nothing secret and nothing that was said, and stops on SIGTERM", async () => {
  const { child, output } = await start();
  const url = `http://127.0.0.1:${port}`;
  const [line] = lines;
  assert.ok(line);
  const message = textMessage({ text: { body: "said in confidence" } });
  const nobody = { wabaId: "1", phoneNumberId: "2" };
  const body = webhookOf(
    entryOf(line, { messages: [message] }),
    entryOf(nobody, { messages: [message] }),
  );
  assert.equal(await post(room, body, { url }), 200);
  assert.equal(await post(room, body, { url, secret: "wrong" }), 401);
  const [wppLine] = wppLines;
  assert.ok(wppLine);
  const told = connectMessage(wppLine, { body: "said in confidence", notifyName: "A name" });
  assert.equal(await postWpp({ url }, wppLine.webhookKey, told), 200);
  assert.equal(await postWpp({ url }, randomUUID(), told), 401);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /ingest_webhook_duration_seconds_count\{[^}]*outcome="taken"[^}]*\} 1/);
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0, output());
  const { webhookKey, session } = wppLine;
  for (const secret of [webhookKey, session, "A name", "5511900000001"]) {
    assert.ok(!output().includes(secret), secret);
  }
  for (const secret of [SECRET, VERIFY_TOKEN, "said in confidence", "15550100019", message.id]) {
    assert.ok(!output().includes(secret), secret);
  }
});

test("while a commit is held up, others are answered; killed then, each is told once by the next process", async () => {
  const [line] = lines;
  assert.ok(line);
  const url = `http://127.0.0.1:${port}`;
  const first = await start();
  const holding = asSuperuser(
    room.database,
    `begin; select from number_fence where number_no = ${line.numberNo} for update; select pg_sleep(4); commit`,
  );
  const sleeping = "select from pg_stat_activity where wait_event = 'PgSleep'";
  await until(async () => (await asSuperuser(room.database, sleeping)).length === 1);
  const answered: string[] = [];
  const posts = Array.from({ length: 80 }, async () => {
    const message = textMessage();
    const body = webhookOf(entryOf(line, { messages: [message] }));
    if ((await post(room, body, { url }).catch(() => 0)) === 200) answered.push(message.id);
  });
  // Sixteen wait for their commit, the rest is in the journal.
  await until(() => answered.length >= 64, { deadlineMs: 3_500, label: "the answers" });
  const told = (): Promise<{ id: string }[]> =>
    asSuperuser(
      room.database,
      `select envelope #>> '{data,providerMessageId}' as id from whatsapp_events
        where number_no = ${line.numberNo} and type = 'message.received'`,
    );
  const earlier = new Set((await told()).map(({ id }) => id));
  assert.ok(answered.every((id) => !earlier.has(id)));
  first.child.kill("SIGKILL");
  await once(first.child, "exit");
  await Promise.all(posts);
  await holding;
  const second = await start();
  await until(async () => (await told()).length >= earlier.size + answered.length, {
    deadlineMs: 15_000,
    label: "events of what was answered",
  });
  const ids = (await told()).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length, "nothing twice");
  const known = new Set(ids);
  assert.ok(answered.every((id) => known.has(id)));
  const [left] = await asSuperuser<{ count: number }>(
    room.database,
    "select count(*)::int as count from webhook_journal",
  );
  assert.equal(left?.count, 0);
  second.child.kill("SIGTERM");
  await once(second.child, "exit");
});

test(`killed ${KILLS} times under load: what was answered with 200 is told, once`, async () => {
  const bus = createBus({
    servers: [room.nats.url],
    name: "subscriber",
    logger: createSilentLogger(),
  });
  const seen: Envelope[] = [];
  listen(bus, seen);
  const url = `http://127.0.0.1:${port}`;
  let running = await start();
  const taken: string[] = [];
  let wppTaken = 0;
  const over = new AbortController();
  const sender = async (_value: unknown, index: number): Promise<void> => {
    while (!over.signal.aborted) {
      const messages = [textMessage({ from: `4917000000${index}` }), textMessage()];
      const line = lines[index % lines.length];
      assert.ok(line);
      const body = webhookOf(entryOf(line, { messages }));
      const send = (): Promise<number> => post(room, body, { url }).catch(() => 0);
      await until(async () => (await send()) === 200, { deadlineMs: 60_000, intervalMs: 20 });
      taken.push(...messages.map(({ id }) => id));
    }
  };
  /** Every third with a file, each twice, with what another number's key must not achieve in between. */
  const wppSender = async (_value: unknown, index: number): Promise<void> => {
    const line = wppLines[index % wppLines.length];
    const other = wppLines[(index + 1) % wppLines.length];
    assert.ok(line && other);
    for (let turn = 0; !over.signal.aborted; turn += 1) {
      const image = { type: "image", mimetype: "image/jpeg", body: IMAGE };
      const body = connectMessage(line, turn % 3 === 0 ? image : {}) as { id: string };
      const send = (key: string): Promise<number> => postWpp({ url }, key, body).catch(() => 0);
      await until(async () => (await send(line.webhookKey)) === 200, {
        deadlineMs: 60_000,
        intervalMs: 20,
      });
      taken.push(body.id);
      wppTaken += 1;
      assert.notEqual(await send(other.webhookKey), 200);
      await send(line.webhookKey);
    }
  };
  const senders = [...Array.from({ length: 24 }, sender), ...Array.from({ length: 4 }, wppSender)];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const goals = [taken.length + 100, wppTaken + 20];
    await until(() => taken.length >= (goals[0] ?? 0) && wppTaken >= (goals[1] ?? 0), {
      deadlineMs: 60_000,
      label: "load",
    });
    running.child.kill("SIGKILL");
    await once(running.child, "exit");
    running = await start();
  }
  over.abort();
  await Promise.all(senders);
  const idsSeen = (): string[] =>
    seen.flatMap(({ type, data }) =>
      type === "message.received" ? (data as { providerMessageId: string }).providerMessageId : [],
    );
  await until(
    () => {
      const ids = new Set(idsSeen());
      return taken.every((id) => ids.has(id));
    },
    { deadlineMs: 30_000, intervalMs: 200, label: "every message at the subscriber" },
  );
  const all = idsSeen().filter((id) => taken.includes(id));
  assert.equal(new Set(all).size, all.length, "nothing twice");
  const numbers = new Map(wppLines.map(({ numberId, session }) => [numberId, session]));
  const wpp = seen.filter(({ numberid }) => numbers.has(numberid ?? ""));
  assert.ok(wpp.length > 50, String(wpp.length));
  // Whatever has a row in the store is there, whole.
  const files = await asSuperuser<{ location: string; bytes: number }>(
    room.database,
    "select location, bytes::int as bytes from media where state = 'stored'",
  );
  assert.ok(files.length > 10, String(files.length));
  for (const { location, bytes } of files) {
    assert.equal((await stat(join(folder, location))).size, bytes);
  }
  running.child.kill("SIGTERM");
  await once(running.child, "exit");
  await bus.close();
});
