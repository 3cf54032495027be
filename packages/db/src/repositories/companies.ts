import { ManylineError, type WhatsappConfig } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring } from "../crypto/keyring.ts";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";

/** A company, without its internals. `phoneMissingNotified`: see `markPhoneMissing`. */
export type CompanyRow = {
  companyNo: number;
  companyId: string;
  name: string;
  country: string | null;
  /** E.164 digits. */
  phone: string | null;
  adminEmail: string | null;
  notificationEmail: string | null;
  timezone: string;
  language: string;
  whatsappEnabled: boolean;
  whatsappConfig: WhatsappConfig;
  phoneMissingNotified: boolean;
  createdAt: Date;
  updatedAt: Date;
};

export type CompanyInput = {
  companyId: string;
  name: string;
  country: string | null;
  phone: string | null;
  adminEmail: string | null;
  notificationEmail: string | null;
  timezone: string;
  language: string;
  whatsappEnabled: boolean;
  whatsappConfig: WhatsappConfig;
};

export type CompanyPatch = Partial<Omit<CompanyInput, "companyId">>;

/** How many company_no a new shard covers. */
export const SHARD_SIZE = 64;

const columns = sql.raw(
  [
    "company_no, company_id, name, country, phone, admin_email, notification_email, timezone",
    "language, whatsapp_enabled, whatsapp_config, phone_missing_notified, created_at, updated_at",
  ].join(", "),
);

/**
 * Creates a company with its data key, and its shard and lease row where it is the first of a range. Role
 * platform. The number comes from a counter that stays locked until the commit, so creations go one after
 * another and a rollback leaves no gap.
 * @throws ManylineError COMPANY_EXISTS
 */
export async function createCompany(
  tx: Tx,
  keyring: Keyring,
  input: CompanyInput,
): Promise<CompanyRow> {
  const known = await getCompany(tx, input.companyId);
  if (known !== undefined) throw new ManylineError("COMPANY_EXISTS");
  const counter = await firstRow(
    tx,
    sql<{ lastNo: number }>`update company_counter set last_no = last_no + 1 returning last_no`,
  );
  if (counter === undefined) throw new Error("company_counter is empty");
  const companyNo = counter.lastNo;
  const shardId = await shardOf(tx, companyNo);
  const company = await firstRow(
    tx,
    sql<CompanyRow>`
      insert into companies (company_no, company_id, shard_id, name, country, phone, admin_email,
        notification_email, timezone, language, whatsapp_enabled, whatsapp_config)
      values (${companyNo}, ${input.companyId}, ${shardId}, ${input.name}, ${input.country},
        ${input.phone}, ${input.adminEmail}, ${input.notificationEmail}, ${input.timezone},
        ${input.language}, ${input.whatsappEnabled}, ${JSON.stringify(input.whatsappConfig)}::jsonb)
      on conflict (company_id) do nothing
      returning ${columns}`,
  );
  if (company === undefined) throw new ManylineError("COMPANY_EXISTS");
  const { kekId, wrapped } = keyring.newWrappedKey(companyNo);
  await sql`insert into data_keys (company_no, kek_id, wrapped)
    values (${companyNo}, ${kekId}, ${wrapped})`.execute(tx);
  return company;
}

/** The shard that covers the company, made with its lease row if there is none yet. */
async function shardOf(tx: Tx, companyNo: number): Promise<number> {
  const covering = await firstRow(
    tx,
    sql<{ shardId: number }>`
      select shard_id from shards where lo <= ${companyNo} and ${companyNo} < hi`,
  );
  if (covering !== undefined) return covering.shardId;
  const lo = companyNo - ((companyNo - 1) % SHARD_SIZE);
  const made = await firstRow(
    tx,
    sql<{ shardId: number }>`
      with counted as (
        update company_counter set last_shard =
          greatest(last_shard, (select coalesce(max(shard_id), 0) from shards)) + 1
        returning last_shard
      ), shard as (
        insert into shards (shard_id, lo, hi)
        select last_shard, ${lo}::int, ${lo + SHARD_SIZE}::int from counted
        returning shard_id
      ) select shard_id from shard`,
  );
  if (made === undefined) throw new Error("a shard was not made");
  await sql`insert into shard_leases (shard_id) values (${made.shardId})`.execute(tx);
  return made.shardId;
}

/** A company by its outer id. Role app sees its own only. */
export async function getCompany(
  executor: Executor,
  companyId: string,
): Promise<CompanyRow | undefined> {
  return firstRow(
    executor,
    sql<CompanyRow>`select ${columns} from companies where company_id = ${companyId}`,
  );
}

export async function getCompanyByNo(
  executor: Executor,
  companyNo: number,
): Promise<CompanyRow | undefined> {
  return firstRow(
    executor,
    sql<CompanyRow>`select ${columns} from companies where company_no = ${companyNo}`,
  );
}

/** Companies in the order of their creation; `after` is the company_no of the last one seen. */
export async function listCompanies(
  executor: Executor,
  page: { after?: number | undefined; limit: number },
): Promise<CompanyRow[]> {
  return rows(
    executor,
    sql<CompanyRow>`select ${columns} from companies where company_no > ${page.after ?? 0}
      order by company_no limit ${page.limit}`,
  );
}

/**
 * Changes the named fields. A changed phone makes `company.phone_missing` possible again. Undefined when
 * there is no such company.
 */
export async function updateCompany(
  executor: Executor,
  companyNo: number,
  patch: CompanyPatch,
): Promise<CompanyRow | undefined> {
  const sets = [
    sql`updated_at = clock_timestamp()`,
    ...(patch.name === undefined ? [] : [sql`name = ${patch.name}`]),
    ...(patch.country === undefined ? [] : [sql`country = ${patch.country}`]),
    ...(patch.phone === undefined
      ? []
      : [
          sql`phone = ${patch.phone}`,
          sql`phone_missing_notified = phone_missing_notified
            and phone is not distinct from ${patch.phone}::text`,
        ]),
    ...(patch.adminEmail === undefined ? [] : [sql`admin_email = ${patch.adminEmail}`]),
    ...(patch.notificationEmail === undefined
      ? []
      : [sql`notification_email = ${patch.notificationEmail}`]),
    ...(patch.timezone === undefined ? [] : [sql`timezone = ${patch.timezone}`]),
    ...(patch.language === undefined ? [] : [sql`language = ${patch.language}`]),
    ...(patch.whatsappEnabled === undefined
      ? []
      : [sql`whatsapp_enabled = ${patch.whatsappEnabled}`]),
    ...(patch.whatsappConfig === undefined
      ? []
      : [sql`whatsapp_config = ${JSON.stringify(patch.whatsappConfig)}::jsonb`]),
  ];
  return firstRow(
    executor,
    sql<CompanyRow>`update companies set ${sql.join(sets)} where company_no = ${companyNo}
      returning ${columns}`,
  );
}

/**
 * Deletes a company: numbers, credentials, attempts, commands, tokens, its data key (which shreds what a
 * backup still holds) and its events. Role platform. The audit log stays. Append `company.removed` after
 * this call, in the same transaction. The events last: deleting the rest waits for whoever is writing one.
 */
export async function deleteCompany(tx: Tx, companyNo: number): Promise<boolean> {
  const count = await changed(tx, sql`delete from companies where company_no = ${companyNo}`);
  await sql`delete from whatsapp_events where company_no = ${companyNo}`.execute(tx);
  return count > 0;
}

/**
 * Notes that `company.phone_missing` is being told; false when it was already, and nothing is to be told.
 * In a fenced transaction of one of its numbers.
 */
export async function markPhoneMissing(tx: Tx, companyNo: number): Promise<boolean> {
  const count = await changed(
    tx,
    sql`update companies set phone_missing_notified = true
      where company_no = ${companyNo} and not phone_missing_notified`,
  );
  return count > 0;
}
