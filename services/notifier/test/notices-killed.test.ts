/** A notifier that is killed between sending a notice and noting it: the next one knows only that it may have been sent. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createBus, createSilentLogger } from "@manyline/runtime";
import { until } from "@manyline/testkit";
import { addLine, type Desk, issueCode, mailsTo, noticesOfLine, openDesk } from "./notices-room.ts";
import { startOne } from "./room.ts";

let desk: Desk;
before(async () => {
  desk = await openDesk({ NOTICE_TIMEOUT_MS: "1500" });
});
after(() => desk[Symbol.asyncDispose]());

test("SIGKILL between sending and noting: one more at most, marked, within the code's life", async () => {
  const line = await addLine(desk, { phone: null });
  // Remembers the company's key; the room's own connections end with its notifier.
  await desk.deps.keyring.sealer(desk.deps.db, line.companyNo);
  await desk.stop();
  const logger = createSilentLogger();
  await using bus = createBus({ servers: [desk.nats.url], name: "test", logger });
  const main = join(import.meta.dirname, "..", "src", "main.ts");
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env["PATH"], ...desk.env },
    stdio: ["ignore", "pipe", "ignore"],
  });
  const ended = once(child, "close");
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  try {
    await until(() => output.includes("notifier.listening"), { label: "it listens" });
    desk.inbox.faults.add({ channel: "smtp", effect: "take_and_hang" });
    const issuedAt = Date.now();
    const { natsSubject, envelope } = await issueCode(desk, line, { code: "UUUUVVVV" });
    await bus.waitConnected(5_000);
    await bus.publish(natsSubject, JSON.stringify(envelope), { msgId: envelope.id });
    await until(() => mailsTo(desk, line.address).length === 1, { label: "sent" });
    child.kill("SIGKILL");
    await ended;
    const [row] = await noticesOfLine(desk, line);
    assert.deepEqual([row?.state, row?.tries], ["waiting", []]);
    const next = await startOne(desk.env);
    try {
      await until(async () => (await noticesOfLine(desk, line))[0]?.state === "sent", {
        label: "sent by the next",
        deadlineMs: 20_000,
      });
      assert.ok(Date.now() - issuedAt < 60_000);
    } finally {
      await next.stop();
    }
    const [sent] = await noticesOfLine(desk, line);
    assert.deepEqual(
      sent?.tries.map(({ outcome }) => outcome),
      ["unknown", "sent"],
    );
    assert.equal(sent?.isRepeat, true);
    const [first, second, ...more] = mailsTo(desk, line.address).map(({ raw }) => raw.toString());
    assert.equal(more.length, 0);
    assert.doesNotMatch(first ?? "", /X-Manyline-Repeat/i);
    assert.match(second ?? "", /X-Manyline-Repeat: true/i);
  } finally {
    child.kill("SIGKILL");
  }
});
