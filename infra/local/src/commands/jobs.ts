import { JOB_PACE } from "@manyline/contracts";
import type { Job, JobItem } from "@manyline/contracts";
import { fieldOf, pagesFrom, sentenceOf } from "./answers.ts";
import type { Command, CommandGroup } from "./command.ts";
import { parseWords, part, wholeNumber } from "./command.ts";
import { progressLine, readJob, watchJob } from "./job-progress.ts";
import { ago, counted, facts, table } from "./table.ts";

const JOBS = "jobs";
const JOB = "job <job> [--watch]";
const CANCEL = "cancel-job <job>";
const PATH = "/api/whatsapp/jobs";
const LISTED = 20;

export const JOB_COMMANDS: CommandGroup = {
  title: "Bulk jobs",
  commands: {
    "reconnect-all": starting(
      "reconnect-all",
      "reconnect",
      "reconnects linked numbers that are not connected, and shows the progress",
    ),
    "pair-all": starting(
      "pair-all",
      "pair",
      "gives codes to unlinked numbers with a phone, asks for the phone of the others",
    ),
    jobs: {
      usage: JOBS,
      help: "lists the last bulk jobs",
      run: async (rest, args) => {
        parseWords(JOBS, args, { least: 0 });
        const jobs = await pagesFrom<Job>(rest, PATH, "jobs", "before", LISTED);
        return jobTable(jobs, new Date());
      },
    },
    job: {
      usage: JOB,
      help: "shows a job with what failed; --watch: until it has ended",
      run: async (rest, args, screen) => {
        const options = { watch: { type: "boolean" } } as const;
        const words = parseWords(JOB, args, { least: 1, options });
        const [jobId = ""] = words.positionals;
        const job = await readJob(rest, jobId);
        if (words.has("watch")) return watchJob(rest, job, screen);
        const path = `${PATH}/${part(jobId)}/items?state=failed`;
        const failed = await pagesFrom<JobItem>(rest, path, "items", "after", LISTED);
        return [...jobFacts(job, new Date()), "", ...itemTable(failed, job.progress.failed)];
      },
    },
    "cancel-job": {
      usage: CANCEL,
      help: "skips what a job has not sent yet",
      run: async (rest, args) => {
        const [jobId = ""] = parseWords(CANCEL, args, { least: 1 }).positionals;
        const answer = await rest("POST", `${PATH}/${part(jobId)}/cancel`, {});
        const { progress } = fieldOf(answer, "job") as Job;
        if (!(fieldOf(answer, "cancelled") as boolean)) return [`Job ${jobId} had ended already.`];
        const { done, failed, skipped, sent } = progress;
        const left = sent > 0 ? `; ${sent} that were sent go on to their end` : "";
        return [
          `Job ${jobId} is cancelled: ${done} done, ${failed} failed, ${skipped} skipped${left}.`,
        ];
      },
    },
  },
};

function starting(name: string, kind: Job["kind"], help: string): Command {
  const usage = `${name} [company …] [--per-second n]`;
  return {
    usage,
    help,
    run: async (rest, args, screen) => {
      const options = { "per-second": { type: "string" } } as const;
      const words = parseWords(usage, args, { least: 0, most: 500, options });
      const pace = words.text("per-second");
      const companies = words.positionals;
      const answer = await rest("POST", PATH, {
        kind,
        ...(pace === undefined ? {} : { perSecond: wholeNumber("--per-second", pace, JOB_PACE) }),
        ...(companies.length === 0 ? {} : { companies }),
      });
      const job = fieldOf(answer, "job") as Job;
      const numbers = counted(job.progress.total, "number");
      screen.write(`Job ${job.id}: ${numbers}, ${job.perSecond} a second.\n`);
      return watchJob(rest, job, screen);
    },
  };
}

function jobTable(jobs: readonly Job[], now: Date): string[] {
  return table(
    jobs,
    [
      { title: "JOB", cell: ({ id }) => id },
      { title: "KIND", cell: ({ kind }) => kind },
      { title: "STATE", cell: ({ state }) => state },
      { title: "AGO", isRight: true, cell: ({ createdAt }) => ago(createdAt, now) },
      { title: "%", isRight: true, cell: ({ progress }) => progress.percent },
      { title: "TOTAL", isRight: true, cell: ({ progress }) => progress.total },
      { title: "WAITING", isRight: true, cell: ({ progress }) => progress.waiting },
      { title: "SENT", isRight: true, cell: ({ progress }) => progress.sent },
      { title: "DONE", isRight: true, cell: ({ progress }) => progress.done },
      { title: "FAILED", isRight: true, cell: ({ progress }) => progress.failed },
      { title: "SKIPPED", isRight: true, cell: ({ progress }) => progress.skipped },
    ],
    "There were no jobs yet.",
  );
}

function jobFacts(job: Job, now: Date): string[] {
  return facts([
    ["job", job.id],
    ["kind", job.kind],
    ["state", job.state],
    ["progress", progressLine(job, now)],
    ["pace", `${job.perSecond} a second`],
    ["started", `${job.createdAt} by ${job.createdBy}`],
    ["ended", job.finishedAt],
  ]);
}

function itemTable(items: readonly JobItem[], total: number): string[] {
  const lines = table(
    items,
    [
      { title: "FAILED NUMBER", cell: ({ numberId }) => numberId },
      { title: "COMPANY", cell: ({ companyId }) => companyId },
      { title: "REASON", cell: ({ reason }) => sentenceOf(reason) },
    ],
    "Nothing has failed.",
  );
  return total > items.length ? [...lines, `… and ${total - items.length} more`] : lines;
}
