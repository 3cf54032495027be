/** Numbers that are away: noted as it happens, told when it has lasted. */
import type { EventData, sessionConnected } from "@manyline/contracts";
import {
  isWorse,
  type Loss,
  lossReasonOf,
  lossToldAt,
  NOTICE_FIGURES,
  stepLoss,
} from "@manyline/contracts/notices";
import {
  type Database,
  endLosses,
  inTransaction,
  type LossRow,
  type NoticeNumber,
  queueNotifications,
  readLosses,
  readReaders,
  takeDueLosses,
  writeLosses,
} from "@manyline/db";
import { rowsOf } from "./queueing.ts";

export type SessionFact = { number: NoticeNumber; data: EventData<typeof sessionConnected> };

const MOST_AT_ONCE = 500;

/** In the order of the stream. */
export async function noteLosses(
  db: Database,
  facts: readonly SessionFact[],
  lossMs: number,
): Promise<void> {
  if (facts.length === 0) return;
  const keyOf = ({ companyNo, numberNo }: { companyNo: number; numberNo: number }): string =>
    `${companyNo} ${numberNo}`;
  const numbers = new Map(facts.map(({ number }) => [keyOf(number), number]));
  await inTransaction(db, async (tx) => {
    const known = new Map(
      (await readLosses(tx, [...numbers.values()])).map((row) => [keyOf(row), row]),
    );
    const now = new Map<string, LossRow | undefined>(known);
    for (const { number, data } of facts)
      now.set(keyOf(number), step(now.get(keyOf(number)), { number, data }, lossMs));
    const ended = [...numbers.values()].filter(
      (number) => known.has(keyOf(number)) && now.get(keyOf(number)) === undefined,
    );
    await endLosses(tx, ended);
    const changed = [...now].flatMap(([key, row]) => (row && row !== known.get(key) ? [row] : []));
    await writeLosses(tx, changed);
  });
}

function step(
  row: LossRow | undefined,
  { number, data }: SessionFact,
  lossMs: number,
): LossRow | undefined {
  const { status, reason, previousStatus, since } = data;
  const before: Loss | undefined = row && { since: row.since, reason: row.reason };
  const after = stepLoss(before, { status, reason, previousStatus, since: new Date(since) });
  if (after === undefined) return undefined;
  const { companyNo, numberNo } = number;
  const toldReason = row?.toldReason ?? null;
  const isNews = toldReason === null || isWorse(after.reason, toldReason);
  const tellAt = isNews ? lossToldAt(after, lossMs) : null;
  return { companyNo, numberNo, since: after.since, reason: after.reason, toldReason, tellAt };
}

/** Queues what has lasted long enough. Returns whether there may be more. */
export async function tellLosses(db: Database, gatherMs: number): Promise<boolean> {
  return inTransaction(db, async (tx) => {
    const due = await takeDueLosses(tx, MOST_AT_ONCE);
    if (due.length === 0) return false;
    const readers = await readReaders(
      tx,
      due.map(({ companyId }) => companyId),
    );
    const away = due.filter(({ status }) => status !== "connected");
    const notices = away.flatMap(({ companyId, companyNo, numberNo, since, reason }) => {
      const reader = readers.get(companyId);
      if (!reader) return [];
      const time = since.toISOString();
      const notice = {
        kind: "number_disconnected" as const,
        facts: { time, reason: lossReasonOf(reason) },
        expiresAt: new Date(Date.now() + NOTICE_FIGURES.lifeMs),
      };
      return rowsOf(notice, reader, {
        companyNo,
        numberNo,
        eventId: `lost ${numberNo} ${time} ${reason}`,
      });
    });
    await queueNotifications(tx, notices, gatherMs);
    await endLosses(
      tx,
      due.filter(({ status }) => status === "connected"),
    );
    await writeLosses(
      tx,
      away.map(({ companyNo, numberNo, since, reason }) => {
        return { companyNo, numberNo, since, reason, toldReason: reason, tellAt: null };
      }),
    );
    return due.length === MOST_AT_ONCE;
  });
}
