import { CreateJob, JOB_ITEM_STATES, JOB_PACE, ManylineError, newJobId } from "@manyline/contracts";
import type { JobItem } from "@manyline/contracts";
import {
  cancelJob,
  companyIdsOf,
  companyNosOf,
  createJob,
  getJob,
  listJobItems,
  listJobs,
  lockJobs,
  numberIdsOf,
  runningJobs,
} from "@manyline/db";
import type { Executor, JobItemRow, JobRow } from "@manyline/db";
import { Type } from "typebox";
import type { App } from "../app.ts";
import type { Deps } from "../deps.ts";
import { numberIdFrom } from "../domain/ids.ts";
import { jobAnswer } from "../domain/jobs.ts";
import { actorOf, operatorWork } from "../work.ts";
import { LimitField, Next, envelope, limitOf, listOf } from "./operator-schemas.ts";
import { Nothing, problems, ref } from "./schemas.ts";

const BASE = "/api/whatsapp";
const tags = ["operations"];
const JobParams = Type.Object({ jobId: Type.String({ description: "job_…" }) });
const JobEnvelope = envelope({ job: ref("Job") });

export function registerJobs(app: App, deps: Deps): void {
  registerJob(app, deps);
  registerJobLists(app, deps);
}

function registerJob(app: App, deps: Deps): void {
  app.post(
    `${BASE}/jobs`,
    {
      schema: {
        tags,
        summary: "Start a bulk job: reconnect what is not connected, or pair what is not linked",
        description:
          "What a running job of the same kind has before it is left out; over all companies only one job of a kind runs. While nobody owns a number, its turn waits.",
        body: CreateJob,
        response: { 202: JobEnvelope, ...problems },
      },
    },
    async (request, reply) => {
      const { kind, perSecond = JOB_PACE.usual, companies } = request.body;
      const row = await operatorWork(deps, request, async ({ tx, note }) => {
        await lockJobs(tx, kind);
        const companyNos = companies === undefined ? undefined : await nosOf(tx, companies);
        if (companyNos === undefined) await refuseSecond(tx, kind);
        const jobId = newJobId();
        const createdBy = actorOf(request);
        const input = { jobId, kind, perSecond, createdBy };
        const job = await createJob(tx, companyNos ? { ...input, companyNos } : input);
        note("job.started", jobId, { kind, perSecond, companies: companies?.length ?? "all" });
        return job;
      });
      deps.jobs.wake();
      return reply
        .code(202)
        .header("location", `${BASE}/jobs/${row.jobId}`)
        .send({ success: true, job: jobAnswer(row, deps.clock.now()) });
    },
  );

  app.get(
    `${BASE}/jobs/:jobId`,
    {
      schema: {
        tags,
        summary: "Read a job with its progress",
        params: JobParams,
        response: { 200: JobEnvelope, ...problems },
      },
    },
    async (request) => {
      const row = await jobOf(deps.platformDb, request.params.jobId);
      return { success: true, job: jobAnswer(row, deps.clock.now()) };
    },
  );

  app.post(
    `${BASE}/jobs/:jobId/cancel`,
    {
      schema: {
        tags,
        summary: "Cancel a job: what waits is skipped, what was sent goes on to its end",
        params: JobParams,
        body: Nothing,
        response: {
          200: envelope({
            cancelled: { type: "boolean", description: "false: it had ended already" },
            job: ref("Job"),
          }),
          ...problems,
        },
      },
    },
    async (request) => {
      const { jobId } = request.params;
      return operatorWork(deps, request, async ({ tx, note }) => {
        await jobOf(tx, jobId);
        const cancelled = await cancelJob(tx, jobId);
        if (cancelled) note("job.cancelled", jobId);
        const job = jobAnswer(await jobOf(tx, jobId), deps.clock.now());
        return { success: true, cancelled, job };
      });
    },
  );
}

function registerJobLists(app: App, deps: Deps): void {
  app.get(
    `${BASE}/jobs`,
    {
      schema: {
        tags,
        summary: "List jobs, the newest first",
        querystring: Type.Object(
          {
            before: Type.Optional(Type.String({ description: "`next` of the page before" })),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: { 200: envelope({ jobs: listOf(ref("Job")), next: Next }), ...problems },
      },
    },
    async (request) => {
      const limit = limitOf(request.query.limit);
      const { before } = request.query;
      const rows = await listJobs(deps.platformDb, { limit: limit + 1, before });
      const page = rows.slice(0, limit);
      const now = deps.clock.now();
      const next = rows.length > limit ? (page.at(-1)?.jobId ?? null) : null;
      return { success: true, jobs: page.map((row) => jobAnswer(row, now)), next };
    },
  );

  app.get(
    `${BASE}/jobs/:jobId/items`,
    {
      schema: {
        tags,
        summary: "List a job's numbers and what became of each",
        params: JobParams,
        querystring: Type.Object(
          {
            state: Type.Optional(Type.Enum([...JOB_ITEM_STATES])),
            after: Type.Optional(
              Type.String({
                pattern: "^[1-9][0-9]{0,8}$",
                description: "`next` of the page before",
              }),
            ),
            limit: LimitField,
          },
          { additionalProperties: false },
        ),
        response: { 200: envelope({ items: listOf(ref("JobItem")), next: Next }), ...problems },
      },
    },
    async (request) => {
      const { state, after } = request.query;
      const limit = limitOf(request.query.limit);
      const { jobId } = await jobOf(deps.platformDb, request.params.jobId);
      const rows = await listJobItems(deps.platformDb, jobId, {
        state,
        after: after === undefined ? undefined : Number(after),
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? String(page.at(-1)?.numberNo) : null;
      return { success: true, items: await itemAnswers(deps.platformDb, page), next };
    },
  );
}

/** Throws JOB_NOT_FOUND. */
async function jobOf(executor: Executor, jobId: string): Promise<JobRow> {
  const row = await getJob(executor, jobId);
  if (!row) throw new ManylineError("JOB_NOT_FOUND");
  return row;
}

/** Throws JOB_RUNNING, naming the job. */
async function refuseSecond(tx: Executor, kind: JobRow["kind"]): Promise<void> {
  const running = (await runningJobs(tx)).find(
    (job) => job.kind === kind && job.state === "running",
  );
  if (!running) return;
  const { jobId } = running;
  throw new ManylineError("JOB_RUNNING", { jobId, detail: `Job ${jobId} (${kind}) is running.` });
}

/** Throws COMPANY_NOT_FOUND that names every company there is not. */
async function nosOf(executor: Executor, companyIds: readonly string[]): Promise<number[]> {
  const found = await companyNosOf(executor, companyIds);
  const unknown = companyIds.filter((companyId) => !found.has(companyId));
  if (unknown.length > 0) {
    const detail = `There is no company ${unknown.join(", ")}.`;
    throw new ManylineError("COMPANY_NOT_FOUND", { detail, companies: unknown });
  }
  return [...found.values()];
}

async function itemAnswers(executor: Executor, rows: readonly JobItemRow[]): Promise<JobItem[]> {
  const companyIds = await companyIdsOf(executor, [...new Set(rows.map((row) => row.companyNo))]);
  const numberIds = await numberIdsOf(
    executor,
    rows.map((row) => row.numberNo),
  );
  return rows.map((row) => ({
    companyId: companyIds.get(row.companyNo) ?? null,
    numberId: numberIdFrom(numberIds.get(row.numberNo)),
    state: row.state,
    reason: row.reason,
    commandId: row.commandId,
  }));
}
