import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobRow } from "@manyline/db";
import { jobAnswer } from "./jobs.ts";

const now = new Date("2026-01-01T00:00:00.000Z");
const row: JobRow = {
  jobId: `job_${"0".repeat(32)}`,
  kind: "reconnect",
  state: "running",
  perSecond: 5,
  total: 200,
  waiting: 96,
  sent: 5,
  done: 90,
  failed: 3,
  skipped: 6,
  createdBy: "token:x",
  createdAt: now,
  finishedAt: null,
};

test("progress: whole percent of what has ended, the end at the job's pace", () => {
  const answer = jobAnswer(row, now);
  assert.equal(answer.progress.percent, 49);
  assert.equal(answer.estimatedEndAt, "2026-01-01T00:00:20.000Z");
  assert.equal(jobAnswer({ ...row, waiting: 0, sent: 1, done: 190 }, now).progress.percent, 99);
});

test("a job that has ended has no estimate; one without items is done", () => {
  const done = jobAnswer({ ...row, state: "done", finishedAt: now }, now);
  assert.equal(done.estimatedEndAt, null);
  assert.equal(done.finishedAt, "2026-01-01T00:00:00.000Z");
  const none = { total: 0, waiting: 0, sent: 0, done: 0, failed: 0, skipped: 0 };
  assert.equal(jobAnswer({ ...row, ...none }, now).progress.percent, 100);
});
