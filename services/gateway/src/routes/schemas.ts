/** Pieces that several routes' schemas share. */
import { Type } from "typebox";
import { idPattern } from "@manyline/contracts";

export const CompanyParams = Type.Object({
  companyId: Type.String({ description: "outer id of the company, e.g. 962302" }),
});

export const NumberParams = Type.Object({
  ...CompanyParams.properties,
  numberId: Type.String({ description: "num_…" }),
});

/** The body of an action that needs no words. */
export const Nothing = Type.Object({}, { additionalProperties: false });

/** Unknown ids are 404, not 400: the pattern is for the document only. */
export const NumberQuery = Type.Object(
  {
    number: Type.Optional(
      Type.String({
        description: `which number (${idPattern("num")}); without it the primary one`,
      }),
    ),
  },
  { additionalProperties: false },
);

/** A component of the document by its `$id`; see openapi.ts. */
export function ref(id: ComponentName): { $ref: string } {
  return { $ref: `${id}#` };
}

export type ComponentName =
  | "Company"
  | "Number"
  | "StatusAnswer"
  | "PairingCodeAnswer"
  | "Worker"
  | "Shard"
  | "ShardMove"
  | "Metrics"
  | "Session"
  | "Job"
  | "JobItem"
  | "Command"
  | "SendMessage"
  | "SendAnswer"
  | "SignalAnswer"
  | "Message"
  | "MessageList"
  | "ChatList"
  | "Contact"
  | "ContactList"
  | "CheckAnswer"
  | "SetupAnswer"
  | "UsageAnswer"
  | "FlowKey"
  | "NumberFlowKey"
  | "Flow"
  | "Webhook"
  | "WebhookDelivery"
  | "Notification"
  | "UploadAnswer";

const problem = {
  description: "What went wrong, with a stable code; see docs/errors.md.",
  content: { "application/problem+json": { schema: { $ref: "Problem#" } } },
};
/** Every route can answer these. */
export const problems = { "4xx": problem, "5xx": problem };
