/**
 * How a stream reads the event log. An event's place in the log is given before its transaction commits, so
 * one that commits late appears behind events that were read already. A stream therefore reads the last
 * seconds again each time and drops what it has seen.
 */
import type { Envelope } from "@manyline/contracts";
import { listEvents } from "@manyline/db";
import type { Executor } from "@manyline/db";

export type LoggedEvent = {
  readonly eventNo: number;
  readonly eventId: string;
  readonly numberNo: number | null;
  readonly type: string;
  readonly envelope: Envelope;
  readonly createdAt: Date;
};

/** Whose events: one number's with the company's own, or all of the company. */
export type LogScope = { readonly companyNo: number; readonly numberNo: number | null };

const PAGE = 500;

/** Events written after `since` (the clock of Postgres), in the order of writing. */
export async function eventsSince(
  executor: Executor,
  { companyNo, numberNo }: LogScope,
  since: Date,
): Promise<LoggedEvent[]> {
  const found: LoggedEvent[] = [];
  for (;;) {
    let query = executor
      .selectFrom("whatsappEvents")
      .select(["eventNo", "eventId", "numberNo", "type", "envelope", "createdAt"])
      .where("companyNo", "=", companyNo)
      .where("createdAt", ">", since)
      .where("eventNo", ">", found.at(-1)?.eventNo ?? 0);
    if (numberNo !== null) {
      query = query.where((is) =>
        is.or([is("numberNo", "is", null), is("numberNo", "=", numberNo)]),
      );
    }
    const page = await query.orderBy("eventNo").limit(PAGE).execute();
    found.push(...page);
    if (page.length < PAGE) return found;
  }
}

/**
 * Events after a Last-Event-ID, at most `limit`; undefined when the log does not know the id (any more):
 * then there is no telling what was missed.
 */
export async function eventsAfter(
  executor: Executor,
  { companyNo, numberNo }: LogScope,
  lastEventId: string,
  limit: number,
): Promise<LoggedEvent[] | undefined> {
  const known = await executor
    .selectFrom("whatsappEvents")
    .select("eventNo")
    .where("companyNo", "=", companyNo)
    .where("eventId", "=", lastEventId)
    .executeTakeFirst();
  if (!known) return undefined;
  return listEvents(executor, {
    companyNo,
    numberNo: numberNo ?? undefined,
    afterId: lastEventId,
    limit,
  });
}
