import type { WhatsappConfig } from "@manyline/contracts";
import type { Generated } from "kysely";

/**
 * The tenants. `company_no` is dense: it comes from `company_counter`, whose row stays locked until the
 * commit, so that a rollback leaves no gap. `phone_missing_notified`: the event went out and the phone has
 * not changed since.
 *
 * Writer: gateway; `phone_missing_notified` is set by the owner of a number, fenced.
 * Retention: until the company is deleted, which deletes everything of it but the audit log.
 */
export type CompaniesTable = {
  companyNo: number;
  companyId: string;
  shardId: number;
  name: string;
  country: string | null;
  phone: string | null;
  adminEmail: string | null;
  notificationEmail: string | null;
  timezone: Generated<string>;
  language: Generated<string>;
  whatsappEnabled: Generated<boolean>;
  whatsappConfig: Generated<WhatsappConfig>;
  phoneMissingNotified: Generated<boolean>;
  createdAt: Generated<Date>;
  updatedAt: Generated<Date>;
};

/**
 * One row: the last `company_no` and the highest `shard_id` given. It is locked while a company is created
 * and while a shard is split or merged.
 *
 * Writer: gateway (platform), creating a company; `split_shard` and `merge_shards`.
 * Retention: for ever; numbers of deleted companies are not given again.
 */
export type CompanyCounterTable = {
  one: Generated<boolean>;
  lastNo: Generated<number>;
  lastShard: Generated<number>;
};
