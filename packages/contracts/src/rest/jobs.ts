/** Bulk jobs: one command for each of many numbers, paced, with progress. */
import { Type, type Static } from "typebox";
import { NumberIdField, Timestamp, nullable, oneOf } from "../events/fields.ts";
import { COMPANY_ID_PATTERN, idPattern } from "../ids.ts";

/**
 * reconnect: opens again what is linked, switched on and not connected. pair: shows a pairing code for
 * numbers without credentials whose phone is known, and asks for the phone of those that have none.
 */
export const JOB_KINDS = ["reconnect", "pair"] as const;
export const JOB_STATES = ["running", "done", "cancelled"] as const;
/** waiting → sent (the owner has the command) → done | failed; skipped: there was nothing to do, or no more time. */
export const JOB_ITEM_STATES = ["waiting", "sent", "done", "failed", "skipped"] as const;

export const JOB_PACE = { least: 1, usual: 5, most: 50 } as const;
/** So many companies can be named in one job. */
export const JOB_COMPANIES = 500;

export const CreateJob = Type.Object(
  {
    kind: oneOf(JOB_KINDS),
    perSecond: Type.Optional(
      Type.Integer({
        minimum: JOB_PACE.least,
        maximum: JOB_PACE.most,
        description: `commands a second, ${JOB_PACE.usual} unless said`,
      }),
    ),
    companies: Type.Optional(
      Type.Array(Type.String({ pattern: COMPANY_ID_PATTERN }), {
        minItems: 1,
        maxItems: JOB_COMPANIES,
        description: "outer ids; without them all companies",
      }),
    ),
  },
  { additionalProperties: false },
);
export type CreateJob = Static<typeof CreateJob>;

const Count = Type.Integer({ minimum: 0 });

export const Job = Type.Object(
  {
    id: Type.String({ pattern: idPattern("job") }),
    kind: oneOf(JOB_KINDS),
    state: oneOf(JOB_STATES),
    perSecond: Type.Integer(),
    progress: Type.Object({
      total: Count,
      waiting: Count,
      sent: Count,
      done: Count,
      failed: Count,
      skipped: Count,
      percent: Type.Integer({ minimum: 0, maximum: 100, description: "done, failed or skipped" }),
    }),
    createdBy: Type.String({ description: "token:… of the person who started it" }),
    createdAt: Timestamp,
    finishedAt: nullable(Timestamp),
    estimatedEndAt: nullable(
      Type.String({
        format: "date-time",
        description: "at its pace, if all numbers have an owner; null when it has ended",
      }),
    ),
  },
  { $id: "Job" },
);
export type Job = Static<typeof Job>;

export const JobItem = Type.Object(
  {
    companyId: nullable(Type.String()),
    numberId: nullable(NumberIdField),
    state: oneOf(JOB_ITEM_STATES),
    reason: nullable(
      Type.String({ description: "an error code (docs/errors.md), or why it was skipped" }),
    ),
    commandId: nullable(Type.String()),
  },
  { $id: "JobItem" },
);
export type JobItem = Static<typeof JobItem>;
