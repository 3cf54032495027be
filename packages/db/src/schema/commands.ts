import type { CommandState, CommandVerb } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * Imperatives for the owner of a number. `claimed_epoch`: the epoch that works on it; a claim of an older
 * epoch is taken over. `error` of a dead one holds its reason.
 *
 * Writer: gateway inserts; the owner claims and finishes, a result only under its fence.
 * Retention: 7 days after it was finished.
 */
export type CommandsTable = {
  companyNo: number;
  commandId: string;
  numberNo: number;
  verb: CommandVerb;
  args: Generated<Record<string, unknown>>;
  state: Generated<CommandState>;
  attempts: Generated<number>;
  claimedEpoch: number | null;
  claimedAt: Date | null;
  deadlineAt: Date;
  result: Record<string, unknown> | null;
  error: Record<string, unknown> | null;
  finishedAt: Date | null;
  traceparent: string | null;
  createdAt: Generated<Date>;
};
