/**
 * Sends what is queued. Mail and SMS have rooms of their own, so that one provider that hangs delays only its own; what
 * somebody waits for is sent at once, the rest is gathered by reader.
 */
import { groupSentAt, NOTICE_FIGURES } from "@manyline/contracts/notices";
import {
  claimDesk,
  claimUrgent,
  type ClaimedNotification,
  type Database,
  type DeskKey,
  dueDesks,
  endOverdueNotifications,
  inTransaction,
  postponeDesk,
  readDesk,
} from "@manyline/db";
import { tellLosses } from "./losses.ts";
import type { Post } from "./post.ts";
import { newLetterId } from "./queueing.ts";
import type { NoticeReports } from "./reports.ts";

export type OutboxOptions = {
  db: Database;
  post: Post;
  reports: NoticeReports;
  timeoutMs: number;
  sweepMs: number;
  gatherMs: number;
  quietMs: number;
};

const CHANNELS = ["email", "sms"] as const;
type Channel = (typeof CHANNELS)[number];

/** Under way at a time, by channel. */
const SENDS = 32;
const DESKS = 50;
const MOST_IN_ONE = 2_000;
/** A claim outlives the longest sending by so much; a code's must leave time for another notifier. */
const CLAIM_MORE_MS = 3_000;

export class Outbox {
  readonly #options: OutboxOptions;
  readonly #underWay: Record<Channel, Set<Promise<void>>> = { email: new Set(), sms: new Set() };
  readonly #wanted = new Set<Channel>();
  readonly #claiming = new Map<Channel, Promise<void>>();
  #sweeping: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;
  #isStopping = false;

  constructor(options: OutboxOptions) {
    this.#options = options;
  }

  start(): void {
    this.#sweep();
  }

  /** Something urgent may be queued. */
  wake(): void {
    for (const channel of CHANNELS) this.#wake(channel);
  }

  /** Claims nothing more, waits for what is under way. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearTimeout(this.#timer);
    await this.#sweeping;
    await Promise.all(this.#claiming.values());
    const { email, sms } = this.#underWay;
    await Promise.all([...email, ...sms]);
  }

  #wake(channel: Channel): void {
    this.#wanted.add(channel);
    if (this.#claiming.has(channel)) return;
    const claiming = this.#claim(channel)
      .catch((error: unknown) => this.#options.reports.failed(error))
      .finally(() => this.#claiming.delete(channel));
    this.#claiming.set(channel, claiming);
  }

  async #claim(channel: Channel): Promise<void> {
    const { db, timeoutMs } = this.#options;
    while (this.#wanted.delete(channel) && !this.#isStopping) {
      const limit = SENDS - this.#underWay[channel].size;
      if (limit <= 0) return;
      const claimMs = timeoutMs + CLAIM_MORE_MS;
      const claimed = await claimUrgent(db, { channel, limit, claimMs });
      for (const one of claimed) this.#send(channel, [one]);
    }
  }

  #send(channel: Channel, claimed: ClaimedNotification[]): void {
    const { post, reports } = this.#options;
    const room = this.#underWay[channel];
    const wasFull = room.size >= SENDS - 1;
    const sending: Promise<void> = post
      .send(claimed)
      .catch((error: unknown) => reports.failed(error))
      .finally(() => {
        room.delete(sending);
        if (wasFull && !this.#isStopping) this.#wake(channel);
      });
    room.add(sending);
  }

  #sweep(): void {
    const { reports, sweepMs } = this.#options;
    this.#sweeping = this.#round()
      .catch((error: unknown) => reports.failed(error))
      .finally(() => {
        if (!this.#isStopping) this.#timer = setTimeout(() => this.#sweep(), sweepMs);
      });
  }

  async #round(): Promise<void> {
    const { db, gatherMs } = this.#options;
    this.wake();
    while ((await tellLosses(db, gatherMs)) && !this.#isStopping);
    await endOverdueNotifications(db);
    for (const channel of CHANNELS) {
      const isFull = (): boolean => this.#underWay[channel].size >= SENDS;
      if (isFull()) continue;
      for (const desk of await dueDesks(db, channel, DESKS)) {
        if (this.#isStopping || isFull()) break;
        const claimed = await this.#claimDesk(desk);
        if (claimed.length > 0) this.#send(channel, claimed);
      }
    }
  }

  async #claimDesk(key: DeskKey): Promise<ClaimedNotification[]> {
    const { db, gatherMs, quietMs, timeoutMs } = this.#options;
    return inTransaction(db, async (tx) => {
      const desk = await readDesk(tx, key);
      if (!desk?.firstWaitingAt || desk.isTaken) return [];
      const { firstWaitingAt, lastSentAt, sentToday, now } = desk;
      const at = groupSentAt(
        { firstWaitingAt, lastSentAt: lastSentAt ?? undefined, sentToday },
        { gatherMs, quietMs, mostQuietMs: NOTICE_FIGURES.mostQuietMs },
      );
      if (at.getTime() > now.getTime()) {
        await postponeDesk(tx, key, at);
        return [];
      }
      const claimMs = timeoutMs + CLAIM_MORE_MS;
      return claimDesk(tx, key, { letterId: newLetterId(), claimMs, limit: MOST_IN_ONE });
    });
  }
}
