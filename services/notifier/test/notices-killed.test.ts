/** A notifier that is killed between sending a notice and noting it: the next one knows only that it may have been sent. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { until } from "@manyline/testkit";
import { addLine, type Desk, issueCode, mailsTo, noticesOfLine, openDesk } from "./notices-room.ts";
import { kill, spawnNotifier } from "./room.ts";

let desk: Desk;
before(async () => {
  desk = await openDesk({ NOTICE_TIMEOUT_MS: "1500" }, { isBare: true });
});
after(() => desk[Symbol.asyncDispose]());

test("SIGKILL between sending and noting: one more at most, marked, within the code's life", async () => {
  const line = await addLine(desk, { phone: null });
  const first = await spawnNotifier(desk);
  desk.inbox.faults.add({ channel: "smtp", effect: "take_and_hang" });
  const issuedAt = Date.now();
  await issueCode(desk, line, { code: "UUUUVVVV" });
  await until(() => mailsTo(desk, line.address).length === 1, { label: "sent" });
  await kill(first);
  const [row] = await noticesOfLine(desk, line);
  assert.deepEqual([row?.state, row?.tries], ["waiting", []]);
  const second = await spawnNotifier(desk);
  try {
    await until(async () => (await noticesOfLine(desk, line))[0]?.state === "sent", {
      label: "sent by the next",
      deadlineMs: 20_000,
    });
  } finally {
    await kill(second);
  }
  assert.ok(Date.now() - issuedAt < 60_000);
  const [sent] = await noticesOfLine(desk, line);
  assert.deepEqual(
    sent?.tries.map(({ outcome }) => outcome),
    ["unknown", "sent"],
  );
  assert.equal(sent?.isRepeat, true);
  const [original, again, ...more] = mailsTo(desk, line.address).map(({ raw }) => raw.toString());
  assert.equal(more.length, 0);
  assert.doesNotMatch(original ?? "", /X-Manyline-Repeat/i);
  assert.match(again ?? "", /X-Manyline-Repeat: true/i);
  assert.doesNotMatch(first.output() + second.output(), /UUUU|VVVV/);
});
