import type { CommandState, CommandVerb } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * Imperatives for the owner of a number. `claimed_epoch`: the epoch that works on it; a claim of an older
 * epoch is taken over. `error` of a dead one holds its reason. `queue`: '' is the number's own, whose
 * commands are claimed together; any other (a chat) is worked off one by one. `replay_of`: the dead command
 * that an operator had repeated.
 *
 * Writer: gateway inserts, webhook-ingest `observed`; the owner claims and finishes, fenced; past its deadline whoever looks first ends it.
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
  queue: Generated<string>;
  replayOf: string | null;
};
