/** A bulk job's row to its answer. Pure. */
import type { Job } from "@manyline/contracts";
import type { JobRow } from "@manyline/db";

export function jobAnswer(row: JobRow, now: Date): Job {
  const { total, waiting, sent, done, failed, skipped } = row;
  const isRunning = row.state === "running";
  return {
    id: row.jobId,
    kind: row.kind,
    state: row.state,
    perSecond: row.perSecond,
    progress: { total, waiting, sent, done, failed, skipped, percent: percentOf(row) },
    createdBy: row.createdBy,
    createdAt: row.createdAt.toISOString(),
    finishedAt: row.finishedAt === null ? null : row.finishedAt.toISOString(),
    estimatedEndAt: isRunning ? estimatedEnd(row, now).toISOString() : null,
  };
}

/** Whole percent of what has ended; 100 only when everything has. */
function percentOf({ total, waiting, sent }: JobRow): number {
  return total === 0 ? 100 : Math.floor((100 * (total - waiting - sent)) / total);
}

/** What waits goes out at the job's pace; what was sent is answered within seconds. */
function estimatedEnd({ waiting, perSecond }: JobRow, now: Date): Date {
  return new Date(now.getTime() + Math.ceil(waiting / perSecond) * 1_000);
}
