/** Where a number stands with Meta, and the token it sends with. */
import { createHash } from "node:crypto";
import { sql } from "kysely";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { changed, type Executor, firstRow, rows, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";

export type MetaNumber = {
  companyNo: number;
  numberNo: number;
  wabaId: string;
  phoneNumberId: string;
  /** Meta has confirmed that the number is there and its token sees it. Only then webhooks reach it. */
  isActive: boolean;
  /** Its token is the one of the environment, and follows it. */
  hasCommonToken: boolean;
  /** What Meta told when it was asked last. */
  facts: MetaFacts;
};

const contextOf = (numberNo: number): SealContext => ({ numberNo, kind: "secrets", key: "meta" });

/** A token is long and random: nobody finds it by its hash. */
const tokenHashOf = (token: string): Buffer =>
  createHash("sha256").update(`meta-token\0${token}`).digest();

/**
 * Sets where a number stands and, if given, the token it sends with (`isCommon`: that of the environment); other ids
 * than before make it inactive. Role app, in `withCompany`. False: there is no such Meta number.
 */
export async function setMetaNumber(
  tx: Tx,
  keyring: Keyring,
  { companyNo, numberNo }: Pick<Fence, "companyNo" | "numberNo">,
  meta: {
    wabaId: string;
    phoneNumberId: string;
    accessToken?: string | undefined;
    isCommon?: boolean;
  },
): Promise<boolean> {
  const { wabaId, phoneNumberId, accessToken, isCommon = false } = meta;
  const sealer = await keyring.sealer(tx, companyNo);
  const sealed =
    accessToken === undefined
      ? null
      : sealer.seal(contextOf(numberNo), Buffer.from(JSON.stringify({ accessToken })));
  const hash = accessToken === undefined ? null : tokenHashOf(accessToken);
  const count = await changed(
    tx,
    sql`update numbers set waba_id = ${wabaId}, phone_number_id = ${phoneNumberId},
        secrets = coalesce(${sealed}::bytea, secrets), token_hash = coalesce(${hash}::bytea, token_hash), has_common_token = case when ${hash}::bytea is null then has_common_token
          else ${isCommon} end, updated_at = clock_timestamp()
      where company_no = ${companyNo} and number_no = ${numberNo} and provider = 'meta'`,
  );
  return count > 0;
}

/**
 * Gives the token of the environment, as it is now, to those Meta numbers of a company that have an earlier one of it,
 * or none; what was set for a number itself stays. Role app, in `withCompany`. Answers how many numbers that were.
 */
export async function renewCommonToken(
  tx: Tx,
  keyring: Keyring,
  companyNo: number,
  accessToken: string,
): Promise<number> {
  const numbers = await rows(
    tx,
    sql<{
      numberNo: number;
      wabaId: string;
      phoneNumberId: string;
    }>`select number_no, waba_id, phone_number_id
      from numbers
      where company_no = ${companyNo} and provider = 'meta' and waba_id is not null and phone_number_id is not null
        and (secrets is null or (has_common_token and token_hash is distinct from ${tokenHashOf(accessToken)}))
      order by number_no for no key update`,
  );
  for (const { numberNo, ...place } of numbers) {
    await setMetaNumber(
      tx,
      keyring,
      { companyNo, numberNo },
      { ...place, accessToken, isCommon: true },
    );
  }
  return numbers.length;
}

/** Undefined: it is no Meta number, or nobody has said yet where it stands. */
export async function readMetaNumber(
  executor: Executor,
  companyNo: number,
  numberNo: number,
): Promise<MetaNumber | undefined> {
  return firstRow(
    executor,
    sql<MetaNumber>`select company_no, number_no, waba_id, phone_number_id, is_active, has_common_token,
        jsonb_strip_nulls(jsonb_build_object('messagingLimit', settings -> 'messagingLimit', 'quality', settings -> 'quality',
          'throughput', settings -> 'throughput', 'isOnApp', settings -> 'isOnApp')) as facts
      from numbers
      where company_no = ${companyNo} and number_no = ${numberNo} and waba_id is not null
        and phone_number_id is not null`,
  );
}

/** The token that this number, and no other, sends with. Role worker. */
export async function readAccessToken(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  numberNo: number,
): Promise<string | undefined> {
  const row = await firstRow(
    executor,
    sql<{ secrets: Buffer | null }>`select secrets from numbers
      where company_no = ${companyNo} and number_no = ${numberNo}`,
  );
  if (!row?.secrets) return undefined;
  const sealer = await keyring.sealer(executor, companyNo);
  const opened: unknown = JSON.parse(sealer.open(contextOf(numberNo), row.secrets).toString());
  const token: unknown = Object(opened)["accessToken"];
  return typeof token === "string" && token !== "" ? token : undefined;
}

/** Notes which token the number has, where that is not known yet. Role worker, in `fencedTransaction`. */
export async function noteToken(tx: Tx, fence: Fence, token: string): Promise<void> {
  const hash = tokenHashOf(token);
  await sql`update numbers set token_hash = ${hash}
    where company_no = ${fence.companyNo} and number_no = ${fence.numberNo}
      and token_hash is distinct from ${hash}`.execute(tx);
}

/** Whether a number of another company has this token, too; which one is nobody's business. Role worker. */
export async function isTokenElsewhere(
  executor: Executor,
  companyNo: number,
  token: string,
): Promise<boolean> {
  const row = await firstRow(
    executor,
    sql<{ is: boolean }>`select exists (select from numbers
      where token_hash = ${tokenHashOf(token)} and company_no <> ${companyNo}) as is`,
  );
  return row?.is === true;
}

/**
 * Says whether Meta has confirmed the number, and the phone it has there. Role worker, in `fencedTransaction`. Fails with 23505 when another
 * number is active there.
 * @throws FencedError when there is no such number any more
 */
export async function setMetaActive(
  tx: Tx,
  fence: Fence,
  isActive: boolean,
  phone: string | null = null,
): Promise<void> {
  const count = await changed(
    tx,
    sql`update numbers set is_active = ${isActive}, phone_e164 = coalesce(${phone}, phone_e164)
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo}`,
  );
  if (count === 0) throw new FencedError(fence);
}

/** What Meta tells of a number and its portfolio, kept in `settings`. */
export type MetaFacts = {
  portfolioId?: string;
  /** In Meta's words, as are the others: such as `TIER_2K`, `GREEN`, `STANDARD`. */
  messagingLimit?: string;
  quality?: string;
  throughput?: string;
  /** It lives in the WhatsApp Business app as well. */
  isOnApp?: boolean;
};

/** Keeps what Meta told. Role worker, in `fencedTransaction`. */
export async function setMetaFacts(tx: Tx, fence: Fence, facts: MetaFacts): Promise<void> {
  await sql`update numbers set settings = settings || ${JSON.stringify(facts)}::jsonb
    where company_no = ${fence.companyNo} and number_no = ${fence.numberNo}
      and not settings @> ${JSON.stringify(facts)}::jsonb`.execute(tx);
}

/**
 * Notes that it is told now that the token ends within so many days. False: that, or that it ends in fewer, was told
 * before of the token that ends at this time. Role worker, in `fencedTransaction`.
 */
export async function noteTokenEnd(
  tx: Tx,
  fence: Fence,
  end: { at: Date; days: number },
): Promise<boolean> {
  const at = end.at.toISOString();
  const count = await changed(
    tx,
    sql`update numbers set settings = settings || ${JSON.stringify({ tokenEnd: { at, toldDays: end.days } })}::jsonb
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo}
        and (settings #>> '{tokenEnd,at}' is distinct from ${at}
          or (settings #>> '{tokenEnd,toldDays}')::int > ${end.days})`,
  );
  return count > 0;
}

export type MetaTraffic = {
  /** The company has a Meta app of its own; since when its verify token is what it is. */
  ownAppSince: Date | null;
  /** When Meta last proved that the address of that app, or of the app of all, is ours; null: never. */
  handshakeAt: Date | null;
  /** When a signed webhook was last stored for the number; null: not in the days the event log has. */
  webhookAt: Date | null;
};

/** So many of the company's latest events are looked through. */
const EVENTS_LOOKED_THROUGH = 20_000;

/** What has come of a number from Meta. Role worker. */
export async function readMetaTraffic(
  executor: Executor,
  companyNo: number,
  numberNo: number,
): Promise<MetaTraffic> {
  const row = await firstRow(
    executor,
    sql<MetaTraffic>`select a.updated_at as own_app_since, h.at as handshake_at,
        (select e.created_at from (
            select number_no, created_at, envelope from whatsapp_events
            where company_no = ${companyNo} order by event_no desc limit ${EVENTS_LOOKED_THROUGH}) e
          where e.number_no = ${numberNo} and e.envelope ->> 'source' like '%webhook-ingest%'
          limit 1) as webhook_at
      from companies c left join meta_apps a on a.company_no = c.company_no
      left join webhook_handshakes h
        on h.path = case when a.company_no is null then '' else c.company_id end
      where c.company_no = ${companyNo}`,
  );
  return row ?? { ownAppSince: null, handshakeAt: null, webhookAt: null };
}
