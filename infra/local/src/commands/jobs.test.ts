import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "@manyline/contracts";
import { Refusal } from "../refusal.ts";
import { progressLine, watchJob } from "./job-progress.ts";
import { fakeRest, fakeScreen, run } from "./testing.ts";

const ID = `job_${"0".repeat(32)}`;
const at = "2026-01-01T00:00:00.000Z";
const PATH = "/api/whatsapp/jobs";

function job(progress: Partial<Job["progress"]>, changes: Partial<Job> = {}): Job {
  return {
    id: ID,
    kind: "reconnect",
    state: "running",
    perSecond: 5,
    progress: {
      total: 200,
      waiting: 0,
      sent: 0,
      done: 0,
      failed: 0,
      skipped: 0,
      percent: 0,
      ...progress,
    },
    createdBy: "token:x",
    createdAt: at,
    finishedAt: null,
    estimatedEndAt: null,
    ...changes,
  };
}
const half = job({ waiting: 95, sent: 5, done: 90, failed: 3, skipped: 7, percent: 50 });
const done = job({ done: 190, failed: 3, skipped: 7, percent: 100 }, { state: "done" });
const answer = (value: Job) => ({ success: true, job: value });

test("the progress line: bar, counts, what is left", () => {
  const running = { ...half, estimatedEndAt: "2026-01-01T00:00:19.000Z" };
  assert.equal(
    progressLine(running, new Date(at)),
    "[############------------] 50 %  100 of 200  done 90, failed 3, skipped 7, sent 5  about 19s left",
  );
  assert.equal(
    progressLine(done, new Date(at)),
    "[########################] 100 %  200 of 200  done 190, failed 3, skipped 7",
  );
});

test("watching ends with the job; a terminal draws one line again and again", async () => {
  const answers = { [`GET ${PATH}/${ID}`]: [answer(half), answer(done)] };
  const { rest, asked } = fakeRest(answers);
  const { screen, shown, hasFailed } = fakeScreen(true);
  const lines = await watchJob(rest, job({ waiting: 200 }), screen, 1);
  assert.equal(asked.length, 2);
  assert.equal(shown().split("\r").length - 1, 3);
  assert.equal(shown().split("\n").length - 1, 1);
  assert.deepEqual(lines, [
    `Job ${ID} is done: 190 done, 3 failed, 7 skipped. Why they failed: npm run manyline -- job ${ID}`,
  ]);
  assert.ok(hasFailed(), "the process ends with 1");
});

test("Ctrl-C leaves the job running and says how to watch or cancel it", async () => {
  const { rest, asked } = fakeRest({ [`GET ${PATH}/${ID}`]: answer(half) });
  const { screen, interrupt } = fakeScreen();
  const watching = watchJob(rest, half, screen, 60_000);
  interrupt();
  const text = (await watching).join("\n");
  assert.match(text, new RegExp(`watch it +npm run manyline -- job ${ID} --watch`));
  assert.match(text, new RegExp(`cancel it +npm run manyline -- cancel-job ${ID}`));
  assert.deepEqual(asked, []);
});

test("reconnect-all and pair-all start a job and follow it", async () => {
  const answers = { [`POST ${PATH}`]: answer(done) };
  for (const [words, body] of [
    ["reconnect-all", { kind: "reconnect" }],
    ["pair-all --per-second 20", { kind: "pair", perSecond: 20 }],
    ["pair-all a b --per-second=1", { kind: "pair", perSecond: 1, companies: ["a", "b"] }],
  ] as const) {
    const { asked, shown, lines } = await run(words, answers);
    assert.deepEqual(asked, [{ method: "POST", path: PATH, body }]);
    assert.match(shown, /200 numbers, 5 a second/);
    assert.match(lines.join(), /is done: 190 done/);
  }
  for (const [failed, total, said] of [
    [0, 1, /: 1 number, 5 a second/],
    [1, 2, /: 2 numbers, 5 a second/],
  ] as const) {
    const ended = job({ total, done: 1, failed, percent: 100 }, { state: "done" });
    const { shown, hasFailed } = await run("reconnect-all", { [`POST ${PATH}`]: answer(ended) });
    assert.match(shown, said);
    assert.equal(hasFailed, failed > 0);
  }
  for (const pace of ["0", "51", "fast", "-1", "2.5"]) {
    await assert.rejects(run(`pair-all --per-second=${pace}`, answers), Refusal, pace);
  }
  const nothing = job({ total: 0, percent: 100 }, { state: "done" });
  const empty = await run("pair-all", { [`POST ${PATH}`]: answer(nothing) });
  assert.match(empty.lines.join(), /there was nothing to do/);
});

test("jobs, job, cancel-job", async () => {
  const list = await run("jobs", { [`GET ${PATH}`]: { success: true, jobs: [half], next: null } });
  assert.match(list.lines[1] ?? "", /^job_0+ +reconnect +running .* 50 +200 +95 +5 +90 +3 +7$/);
  const failed = {
    companyId: "a",
    numberId: "num_1",
    state: "failed",
    reason: "NO_OWNER",
    commandId: null,
  };
  const one = await run(`job ${ID}`, {
    [`GET ${PATH}/${ID}`]: answer(half),
    [`GET ${PATH}/${ID}/items`]: { success: true, items: [failed], next: null },
  });
  assert.match(
    one.lines.join("\n"),
    /num_1 +a +No worker owns this number at the moment\. \(NO_OWNER\)\n… and 2 more$/,
  );
  const cancelled = job({ sent: 2, done: 90, skipped: 108 }, { state: "cancelled" });
  const path = `POST ${PATH}/${ID}/cancel`;
  const cancel = await run(`cancel-job ${ID}`, {
    [path]: { ...answer(cancelled), cancelled: true },
  });
  assert.match(cancel.lines.join(), /is cancelled: 90 done, .*; 2 that were sent go on/);
  const late = await run(`cancel-job ${ID}`, { [path]: { ...answer(done), cancelled: false } });
  assert.match(late.lines.join(), /had ended already/);
});

test("dead, replay", async () => {
  const command = {
    id: "cmd_1",
    companyId: "962302",
    numberId: "num_1",
    verb: "reconnect",
    state: "dead",
    reason: "deadline",
    attempts: 0,
    deadlineAt: at,
    createdAt: at,
    replayOf: null,
  };
  const list = { "GET /api/whatsapp/commands": { success: true, commands: [command], next: null } };
  const { lines, asked } = await run("dead 962302", list);
  assert.match(asked[0]?.path ?? "", /state=dead&company=962302/);
  assert.match(lines[1] ?? "", /^cmd_1 +962302 +num_1 +reconnect +deadline +0 /);
  const again = { success: true, command: { ...command, id: "cmd_2", state: "queued" } };
  const replayed = await run("replay cmd_1", { "POST /api/whatsapp/commands/cmd_1/replay": again });
  assert.deepEqual(replayed.lines, ["reconnect is on its way again as cmd_2."]);
});
