/** Watching a bulk job until it has ended. */
import { setTimeout as delay } from "node:timers/promises";
import type { Job } from "@manyline/contracts";
import type { Rest } from "../rest.ts";
import { fieldOf } from "./answers.ts";
import type { Screen } from "./command.ts";
import { part } from "./command.ts";
import { duration } from "./table.ts";

const LOOK_MS = 1_000;
const BAR = 24;
/** Without a terminal a line appears at every step of so many percent. */
const STEP_PERCENT = 10;

export async function readJob(rest: Rest, jobId: string): Promise<Job> {
  return fieldOf(await rest("GET", `/api/whatsapp/jobs/${part(jobId)}`), "job") as Job;
}

/**
 * Shows the job's progress until it has ended and returns the last lines; fails when one of its numbers did. Ctrl-C ends the watching, not
 * the job, and tells what can be done then.
 */
export function watchJob(
  rest: Rest,
  first: Job,
  screen: Screen,
  lookMs: number = LOOK_MS,
): Promise<string[]> {
  return screen.interruptible(async (signal) => {
    const show = progressWriter(screen);
    let job = first;
    for (;;) {
      show(job);
      if (hasSettled(job)) {
        if (job.progress.failed > 0) screen.fail();
        return [summaryOf(job)];
      }
      await delay(lookMs, undefined, { signal }).catch(() => undefined);
      if (signal.aborted) return leftRunning(job);
      job = await readJob(rest, job.id);
    }
  });
}

/** A cancelled job still waits for the answers to what it has sent. */
function hasSettled({ state, progress }: Job): boolean {
  return state === "done" || (state === "cancelled" && progress.sent === 0);
}

function progressWriter(screen: Screen): (job: Job) => void {
  let told = -STEP_PERCENT;
  return (job) => {
    if (screen.isTerminal) {
      const end = hasSettled(job) ? "\n" : "";
      const line = progressLine(job, new Date()).slice(0, Math.max(20, screen.columns - 1));
      screen.write(`\r\u001B[K${line}${end}`);
      return;
    }
    const { percent } = job.progress;
    if (percent < told + STEP_PERCENT && !hasSettled(job)) return;
    told = percent;
    screen.write(`${progressLine(job, new Date())}\n`);
  };
}

/** `[#####---] 58 %  116 of 200  done 100, failed 3, skipped 13, sent 5  about 17s left` */
export function progressLine({ progress, estimatedEndAt }: Job, now: Date): string {
  const { total, waiting, sent, done, failed, skipped, percent } = progress;
  const full = Math.round((BAR * percent) / 100);
  const bar = `[${"#".repeat(full)}${"-".repeat(BAR - full)}]`;
  const parts = [
    `done ${done}`,
    ...(failed > 0 ? [`failed ${failed}`] : []),
    ...(skipped > 0 ? [`skipped ${skipped}`] : []),
    ...(sent > 0 ? [`sent ${sent}`] : []),
  ];
  const leftMs = estimatedEndAt === null ? 0 : Date.parse(estimatedEndAt) - now.getTime();
  const left = waiting > 0 && leftMs > 0 ? `  about ${duration(leftMs)} left` : "";
  return `${bar} ${percent} %  ${total - waiting - sent} of ${total}  ${parts.join(", ")}${left}`;
}

function summaryOf({ id, state, progress }: Job): string {
  const { total, done, failed, skipped } = progress;
  if (total === 0) return `Job ${id}: there was nothing to do.`;
  const how = state === "cancelled" ? "was cancelled" : "is done";
  const details = failed > 0 ? ` Why they failed: npm run manyline -- job ${id}` : "";
  return `Job ${id} ${how}: ${done} done, ${failed} failed, ${skipped} skipped.${details}`;
}

function leftRunning({ id }: Job): string[] {
  return [
    "",
    `Job ${id} goes on without this window.`,
    `  watch it   npm run manyline -- job ${id} --watch`,
    `  cancel it  npm run manyline -- cancel-job ${id}`,
  ];
}
