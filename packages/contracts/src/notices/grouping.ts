/** How operational notices to one reader are put together, so that an outage is one mail and not a thousand. Pure. */
import { NOTICE_FIGURES } from "./rules.ts";
import type { NoticeKind } from "./texts/shape.ts";

/** What one reader had and what waits for them. */
export type Desk = {
  /** When the first of those that wait was written down. */
  firstWaitingAt: Date;
  lastSentAt: Date | undefined;
  /** Operational mails to this reader in the last 24 hours. */
  sentToday: number;
};

/** When the next mail goes: after a moment of gathering, and not before a pause that grows with each mail of the day. */
export function groupSentAt(
  { firstWaitingAt, lastSentAt, sentToday }: Desk,
  figures: { gatherMs: number; quietMs: number; mostQuietMs: number } = NOTICE_FIGURES,
): Date {
  const { gatherMs, quietMs, mostQuietMs } = figures;
  const gathered = firstWaitingAt.getTime() + gatherMs;
  if (lastSentAt === undefined || sentToday === 0) return new Date(gathered);
  const pause = Math.min(mostQuietMs, quietMs * 2 ** (sentToday - 1));
  return new Date(Math.max(gathered, lastSentAt.getTime() + pause));
}

export type Waiting = {
  kind: NoticeKind;
  companyId: string;
  /** The number or the webhook it is about; `_`: the company. */
  about: string;
  expiresAt: Date;
};

/** What of it is still news: not over, and of one kind about one thing only the last. In the order given. */
export function stillNews<One extends Waiting>(waiting: readonly One[], now: Date): One[] {
  const last = new Map<string, One>();
  for (const one of waiting) {
    if (one.expiresAt.getTime() > now.getTime())
      last.set(`${one.kind} ${one.companyId} ${one.about}`, one);
  }
  const kept = new Set(last.values());
  return waiting.filter((one) => kept.has(one));
}
