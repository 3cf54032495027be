import type { ColumnType, Generated, GeneratedAlways } from "kysely";

/** How one try went. `unknown`: whoever tried did not live to say. */
export type NotificationTry = {
  at: string;
  outcome: string;
  code: string | null;
  latencyMs: number;
};

/**
 * One notice to one reader. `letter_id`: the mail or SMS it is in; operational ones share one. `is_repeat`: a try before
 * may have arrived. `over`: it was no news any more before it could be sent. `tries` lists how each try went.
 *
 * Writer: notifier.
 * Retention: 30 days.
 */
export type NotificationsTable = {
  notificationNo: GeneratedAlways<number>;
  companyNo: number;
  numberNo: number | null;
  eventId: string;
  kind: string;
  facts: ColumnType<Record<string, unknown>, string, never>;
  attemptId: string | null;
  channel: "email" | "sms";
  address: string;
  addressKey: string;
  provider: string | null;
  isUrgent: boolean;
  state: Generated<"waiting" | "sent" | "failed" | "over">;
  letterId: string;
  isRepeat: Generated<boolean>;
  attempts: Generated<number>;
  tries: Generated<NotificationTry[]>;
  error: string | null;
  latencyMs: number | null;
  dueAt: Date;
  expiresAt: Date;
  createdAt: Generated<Date>;
  endedAt: Date | null;
};

/**
 * Numbers that are away, since when, and what was said of it. `tell_at`: when it is told; null: there is nothing to tell.
 *
 * Writer: notifier.
 * Retention: until the number is connected again, is linked anew, or is removed.
 */
export type NumberLossesTable = {
  companyNo: number;
  numberNo: number;
  since: Date;
  reason: string;
  toldReason: string | null;
  tellAt: Date | null;
};
