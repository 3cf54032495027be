/** What a number without credentials says while its company may not ask for codes. */
import {
  sessionBlocked,
  sessionDisconnected,
  SESSION_REASONS,
  type Provider,
} from "@manyline/contracts";
import type { NumberJournal } from "./journal.ts";

export type CooldownFacts = { provider: Provider; at: Date };

export async function tellBlocked(
  journal: NumberJournal,
  facts: CooldownFacts,
  until: Date,
): Promise<void> {
  await journal.commit(async (entry) => {
    entry.emit(sessionBlocked, {
      ...sessionFacts(journal, facts, "rate_limited"),
      until: until.toISOString(),
    });
  });
}

export async function tellUnblocked(journal: NumberJournal, facts: CooldownFacts): Promise<void> {
  await journal.commit(async (entry) => {
    entry.emit(sessionDisconnected, sessionFacts(journal, facts, "not_linked"));
  });
}

function sessionFacts(
  journal: NumberJournal,
  { provider, at }: CooldownFacts,
  reason: "rate_limited" | "not_linked",
) {
  const { status, nextAction } = SESSION_REASONS[reason];
  return {
    status,
    reason,
    previousStatus: reason === "not_linked" ? ("blocked" as const) : journal.status,
    provider,
    phone: journal.phone,
    nextAction,
    since: at.toISOString(),
  };
}
