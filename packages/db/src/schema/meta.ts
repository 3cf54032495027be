import type { Generated, GeneratedAlways } from "kysely";

/**
 * A company's own Meta app: its webhooks come to a path of their own and are signed with its secret. Secrets and
 * token are sealed with the company's key. `previous_secret` still counts until `previous_until`.
 *
 * Writer: gateway.
 * Retention: until the company has no app of its own any more, or is deleted.
 */
export type MetaAppsTable = {
  companyNo: number;
  appId: string | null;
  appSecret: Buffer;
  previousSecret: Buffer | null;
  previousUntil: Date | null;
  verifyToken: Buffer;
  updatedAt: Generated<Date>;
};

/**
 * Webhooks of Meta, as their bytes came with a good signature, that were answered while others waited to be committed.
 * `company_no`: the company whose own app has signed; null: the app of all.
 *
 * Writer: webhook-ingest.
 * Retention: until they are committed, seconds later; the commit deletes them.
 */
export type WebhookJournalTable = {
  entryNo: GeneratedAlways<number>;
  companyNo: number | null;
  payload: Buffer;
  receivedAt: Generated<Date>;
};

/**
 * Changes of webhooks that came with a good signature and belong to no number we have, each once however often it
 * came (`times`). `payload` is the change as JSON with its entry, to be read again when the number is there.
 * `app_company_id`: the company whose own app signed it; nobody else can get it. `pieces`: messages, statuses and
 * notices in it.
 *
 * Writer: webhook-ingest; gateway, for a person, asks for a replay (`replay_at`) or deletes.
 * Retention: 30 days after it came last, or until it was replayed.
 */
export type UnroutableTable = {
  unroutableNo: GeneratedAlways<number>;
  hash: Buffer;
  reason: string;
  appCompanyId: string | null;
  wabaId: string | null;
  phoneNumberId: string | null;
  displayPhone: string | null;
  field: string;
  pieces: number;
  payload: Buffer;
  times: Generated<number>;
  firstAt: Generated<Date>;
  lastAt: Generated<Date>;
  replayAt: Date | null;
};

/**
 * How many messages of a number had a price, by the day (UTC) of the first status that named it. `priced`: Meta has
 * taken them; `delivered`: they have arrived, which is what is charged for if `is_billable`.
 *
 * Writer: webhook-ingest.
 * Retention: 400 days; goes with the company, not with the number.
 */
export type NumberUsageTable = {
  companyNo: number;
  numberNo: number;
  day: Date;
  category: string;
  kind: string;
  isBillable: boolean;
  priced: Generated<number>;
  delivered: Generated<number>;
};

/**
 * Messages whose price was counted, by the hash of Meta's id.
 *
 * Writer: webhook-ingest.
 * Retention: 40 days.
 */
export type PricedMessagesTable = {
  companyNo: number;
  numberNo: number;
  hash: Buffer;
  isDelivered: boolean;
  at: Generated<Date>;
};

/**
 * People, by a hash, whom numbers of a Meta portfolio wrote to outside of a conversation, and when last. Counted over
 * all companies that share the portfolio, since Meta's limit is theirs together.
 *
 * Writer: webhook-ingest.
 * Retention: 2 days; what counts is the last one.
 */
export type PortfolioPeopleTable = {
  portfolioId: string;
  person: Buffer;
  at: Generated<Date>;
};

/**
 * When Meta last proved that an address for webhooks is ours. `path`: the company whose own app it is for; empty: the
 * app of all.
 *
 * Writer: webhook-ingest.
 * Retention: 400 days.
 */
export type WebhookHandshakesTable = {
  path: string;
  at: Generated<Date>;
};
