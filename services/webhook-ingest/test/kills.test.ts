import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import type { Envelope } from "@manyline/contracts";
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

/** `KILLS=30` for a long run. */
const KILLS = Number(process.env["KILLS"] ?? 4);

let room: Room;
let lines: Line[];
let port: number;
before(async () => {
  room = await openRoom({ isBare: true });
  lines = [await addLine(room), await addLine(room), await addLine(room)];
  port = await freePort();
});
after(() => room[Symbol.asyncDispose]());

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
  const metrics = await (await fetch(`${url}/metrics`)).text();
  assert.match(metrics, /ingest_webhook_duration_seconds_count\{[^}]*outcome="taken"[^}]*\} 1/);
  child.kill("SIGTERM");
  const [code] = (await once(child, "exit")) as [number | null];
  assert.equal(code, 0, output());
  for (const secret of [SECRET, VERIFY_TOKEN, "said in confidence", "15550100019", message.id]) {
    assert.ok(!output().includes(secret), secret);
  }
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
  const senders = Array.from({ length: 8 }, sender);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const goal = taken.length + 100;
    await until(() => taken.length >= goal, { deadlineMs: 60_000, label: "load" });
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
  running.child.kill("SIGTERM");
  await once(running.child, "exit");
  await bus.close();
});
