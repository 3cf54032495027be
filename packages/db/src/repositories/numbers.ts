import {
  type DesiredState,
  ManylineError,
  type Provider,
  type SessionReason,
  type SessionStatus,
  type WppPlatform,
} from "@manyline/contracts";
import { sql } from "kysely";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import { isOfLiveLease } from "./lease-rules.ts";

/** A number as stored; what people see is derived from `readStatus`. */
export type NumberRow = {
  numberNo: number;
  numberId: string;
  companyNo: number;
  provider: Provider;
  name: string | null;
  /** E.164 digits. */
  phone: string | null;
  isPrimary: boolean;
  desiredState: DesiredState;
  status: SessionStatus;
  reason: SessionReason;
  since: Date;
  until: Date | null;
  /**
   * The status was written by who owns the shard now, under a lease that is live: without it "connected" is
   * what a former owner saw.
   */
  isOwnersWord: boolean;
  /** What it takes to connect is stored: credentials, or place and token. */
  isLinked: boolean;
  lastConnectedAt: Date | null;
  /** Of a Meta number, and whether Meta has confirmed it. */
  wabaId: string | null;
  phoneNumberId: string | null;
  /** Of a WPP number, the dialect of its server. */
  wppServer: WppPlatform;
  isActive: boolean;
  /** What the server of a WPP number calls its session. */
  wppSession: string | null;
  hasToken: boolean;
  createdAt: Date;
  /** Moves with what a person sets, not with the status. */
  updatedAt: Date;
  shardId: number;
};

export type NumberInput = {
  numberId: string;
  provider: Provider;
  phone: string | null;
  name: string | null;
  makePrimary?: boolean | undefined;
  /** Of a WPP number; left out: the platform. */
  wppServer?: WppPlatform | undefined;
  /** How many numbers the company may have. */
  maxNumbers: number;
};

export type NumberPatch = {
  name?: string | null;
  phone?: string | null;
  isPrimary?: true;
  desiredState?: DesiredState;
};

/** A linked number has credentials, a Meta number a place and a token, a WPP number a key and a session. Needs `numbers n`. */
export const IS_LINKED = `case n.provider
  when 'meta' then n.waba_id is not null and n.phone_number_id is not null and n.secrets is not null
  when 'wpp' then n.secrets is not null and coalesce(n.settings ->> 'wppAccountNumber', 'client_system') <> 'client_system'
  else exists (select 1 from auth_creds k where k.company_no = n.company_no and k.number_no = n.number_no) end`;

/** Columns of a NumberRow; needs `numbers n` and `companies c`. */
export const numberColumns = sql`${sql.raw(
  [
    "n.number_no, n.number_id, n.company_no, n.provider, n.name, n.phone_e164 as phone, n.is_primary",
    "n.desired_state, n.status, n.reason, n.since, n.until, n.last_connected_at, n.created_at",
    "n.updated_at, c.shard_id",
    `${IS_LINKED} as is_linked`,
    "n.waba_id, n.phone_number_id, n.wpp_server, n.is_active, n.secrets is not null as has_token",
    "n.settings ->> 'wppAccountNumber' as wpp_session",
  ].join(", "),
)}, exists (select 1 from shard_leases l where l.shard_id = c.shard_id and ${isOfLiveLease}) as is_owners_word`;
const from = sql.raw("from numbers n join companies c on c.company_no = n.company_no");

/**
 * Adds a number and its fence row (epoch 0: its owner adopts it on the next poke or poll). The first
 * number of a company is primary; `makePrimary` takes it from another.
 * @throws ManylineError NUMBER_LIMIT_REACHED, COMPANY_NOT_FOUND
 */
export async function createNumber(
  tx: Tx,
  companyNo: number,
  input: NumberInput,
): Promise<NumberRow> {
  await lockCompany(tx, companyNo);
  const counts = await firstRow(
    tx,
    sql<{ all: number }>`
      select count(*)::int as all from numbers where company_no = ${companyNo}`,
  );
  const count = counts?.all ?? 0;
  if (count >= input.maxNumbers) {
    throw new ManylineError("NUMBER_LIMIT_REACHED", { maxNumbersPerCompany: input.maxNumbers });
  }
  const isPrimary = count === 0 || input.makePrimary === true;
  if (isPrimary && count > 0) await clearPrimary(tx, companyNo);
  await sql`
    with added as (
      insert into numbers (company_no, number_id, provider, name, phone_e164, is_primary, wpp_server)
      values (${companyNo}, ${input.numberId}, ${input.provider}, ${input.name}, ${input.phone},
        ${isPrimary}, ${input.wppServer ?? "wpp_platform"})
      returning company_no, number_no
    ) insert into number_fence (company_no, number_no) select company_no, number_no from added`.execute(
    tx,
  );
  const number = await getNumber(tx, companyNo, input.numberId);
  if (number === undefined) throw new Error("a number was not added");
  return number;
}

/** Changes of "how many" and "which is primary" go one after another per company. */
async function lockCompany(tx: Tx, companyNo: number): Promise<void> {
  const company = await firstRow(
    tx,
    sql<object>`select 1 as one from companies where company_no = ${companyNo} for no key update`,
  );
  if (company === undefined) throw new ManylineError("COMPANY_NOT_FOUND");
}

async function clearPrimary(tx: Tx, companyNo: number): Promise<void> {
  await sql`update numbers set is_primary = false, updated_at = clock_timestamp()
    where company_no = ${companyNo} and is_primary`.execute(tx);
}

export async function getNumber(
  executor: Executor,
  companyNo: number,
  numberId: string,
): Promise<NumberRow | undefined> {
  return firstRow(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from}
      where n.company_no = ${companyNo} and n.number_id = ${numberId}`,
  );
}

export async function getPrimaryNumber(
  executor: Executor,
  companyNo: number,
): Promise<NumberRow | undefined> {
  return firstRow(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from}
      where n.company_no = ${companyNo} and n.is_primary`,
  );
}

export async function getNumberByNo(
  executor: Executor,
  numberNo: number,
): Promise<NumberRow | undefined> {
  return firstRow(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from} where n.number_no = ${numberNo}`,
  );
}

/** The primary first, then in the order of their creation. */
export async function listNumbers(executor: Executor, companyNo: number): Promise<NumberRow[]> {
  return rows(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from}
      where n.company_no = ${companyNo} order by n.is_primary desc, n.number_no`,
  );
}

/** Another number of the company that is linked to this phone, if any (PHONE_ALREADY_LINKED). */
export async function findLinkedPhone(
  executor: Executor,
  companyNo: number,
  phone: string,
  exceptNumberNo: number,
): Promise<NumberRow | undefined> {
  return firstRow(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from}
      where n.company_no = ${companyNo} and n.phone_e164 = ${phone} and n.number_no <> ${exceptNumberNo}
        and exists (select 1 from auth_creds k
          where k.company_no = n.company_no and k.number_no = n.number_no)
      order by n.number_no limit 1`,
  );
}

/** Whether another number of the company is linked to this phone. */
export async function isPhoneLinkedElsewhere(
  executor: Executor,
  companyNo: number,
  exceptNumberNo: number,
  phone: string,
): Promise<boolean> {
  return (await findLinkedPhone(executor, companyNo, phone, exceptNumberNo)) !== undefined;
}

/**
 * One link of the company at a time, until the transaction ends: two numbers that link the same phone at the
 * same moment must see each other. Look whether the phone is linked elsewhere after this, in the same transaction.
 */
export async function lockLinking(tx: Tx, companyNo: number): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtext('manyline.linking'), ${companyNo}::int)`.execute(
    tx,
  );
}

/**
 * The primary number, if any, with the company locked against changes of which it is: for telling about
 * the number that loses the place. Before `createNumber` or `updateNumber`, in the same transaction.
 */
export async function lockPrimaryNumber(tx: Tx, companyNo: number): Promise<NumberRow | undefined> {
  await lockCompany(tx, companyNo);
  return getPrimaryNumber(tx, companyNo);
}

/**
 * Changes what a person sets; undefined when there is no such number. A changed phone makes
 * `company.phone_missing` possible again.
 */
export async function updateNumber(
  tx: Tx,
  companyNo: number,
  numberNo: number,
  patch: NumberPatch,
): Promise<NumberRow | undefined> {
  if (patch.isPrimary) {
    await lockCompany(tx, companyNo);
    await sql`update numbers set is_primary = false, updated_at = clock_timestamp()
      where company_no = ${companyNo} and is_primary and number_no <> ${numberNo}
        and exists (select 1 from numbers where company_no = ${companyNo} and number_no = ${numberNo})`.execute(
      tx,
    );
  }
  // The company's row before the number's, as everywhere where both are written.
  if (patch.phone !== undefined) {
    await sql`update companies set phone_missing_notified = false
      where company_no = ${companyNo} and phone_missing_notified
        and exists (select 1 from numbers where company_no = ${companyNo} and number_no = ${numberNo}
          and phone_e164 is distinct from ${patch.phone}::text)`.execute(tx);
  }
  const sets = [
    sql`updated_at = clock_timestamp()`,
    ...(patch.name === undefined ? [] : [sql`name = ${patch.name}`]),
    ...(patch.phone === undefined ? [] : [sql`phone_e164 = ${patch.phone}`]),
    ...(patch.isPrimary === undefined ? [] : [sql`is_primary = true`]),
    ...(patch.desiredState === undefined ? [] : [sql`desired_state = ${patch.desiredState}`]),
  ];
  const count = await changed(
    tx,
    sql`update numbers set ${sql.join(sets)}
      where company_no = ${companyNo} and number_no = ${numberNo}`,
  );
  return count === 0 ? undefined : getNumberOf(tx, companyNo, numberNo);
}

async function getNumberOf(
  executor: Executor,
  companyNo: number,
  numberNo: number,
): Promise<NumberRow | undefined> {
  return firstRow(
    executor,
    sql<NumberRow>`select ${numberColumns} ${from}
      where n.company_no = ${companyNo} and n.number_no = ${numberNo}`,
  );
}

/**
 * Removes a number with its credentials, attempts, commands and tokens. When it was the primary, the
 * oldest linked number, else the oldest one, becomes primary and is returned.
 */
export async function removeNumber(
  tx: Tx,
  companyNo: number,
  numberNo: number,
): Promise<{ removed: boolean; promoted?: NumberRow }> {
  await lockCompany(tx, companyNo);
  const removed = await firstRow(
    tx,
    sql<{ isPrimary: boolean }>`
      delete from numbers where company_no = ${companyNo} and number_no = ${numberNo}
      returning is_primary`,
  );
  if (removed === undefined) return { removed: false };
  if (!removed.isPrimary) return { removed: true };
  const next = await firstRow(
    tx,
    sql<{ numberNo: number }>`
      select number_no from numbers n where company_no = ${companyNo}
      order by exists (select 1 from auth_creds k
        where k.company_no = n.company_no and k.number_no = n.number_no) desc, number_no limit 1`,
  );
  if (next === undefined) return { removed: true };
  const promoted = await updateNumber(tx, companyNo, next.numberNo, { isPrimary: true });
  return promoted === undefined ? { removed: true } : { removed: true, promoted };
}
