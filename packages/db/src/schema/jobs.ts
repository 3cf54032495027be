import type { Generated } from "kysely";

export type JobKind = "reconnect" | "pair";
export type JobState = "running" | "cancelled" | "done";
export type JobItemState = "waiting" | "sent" | "done" | "failed" | "skipped";

/**
 * Bulk jobs: a command for each of many numbers, `per_second` at a time. `finished_at`: nothing waits and
 * nothing that was sent is unanswered.
 *
 * Writer: gateway (platform).
 * Retention: 30 days after it was finished.
 */
export type JobsTable = {
  jobId: string;
  kind: JobKind;
  state: Generated<JobState>;
  perSecond: number;
  createdBy: string;
  createdAt: Generated<Date>;
  finishedAt: Date | null;
};

/**
 * One number of a bulk job. `reason`: why it failed (an error code, or why the command is dead) or was
 * skipped.
 *
 * Writer: gateway (platform).
 * Retention: as long as the job; a removed number takes its items along.
 */
export type JobItemsTable = {
  jobId: string;
  companyNo: number;
  numberNo: number;
  state: Generated<JobItemState>;
  commandId: string | null;
  reason: string | null;
  updatedAt: Generated<Date>;
};
