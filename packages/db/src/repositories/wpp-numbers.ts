/** The client of a WPP number: its key and its session at the platform. */
import { createHash } from "node:crypto";
import { STALE_WPP_SESSION, type WppPlatform } from "@manyline/contracts";
import { sql } from "kysely";
import type { Keyring, SealContext } from "../crypto/keyring.ts";
import { FencedError } from "../errors.ts";
import { changed, type Executor, firstRow, type Tx } from "../open.ts";
import type { Fence } from "./fence.ts";

export type WppNumber = {
  /** Which server it is at. */
  server: WppPlatform;
  /** Null: there is none yet, or a stale one that never was. */
  client: { apiKey: string; session: string } | null;
  /** Its session is a constant of an earlier time. */
  isStale: boolean;
  /** The organisation its client was made under; null: its company. */
  subOrgId: string | null;
  /** The one that a client was asked for under and not stored yet: the server may have made it. */
  nextSubOrgId: string | null;
  webhookKey: string;
};

const contextOf = (numberNo: number): SealContext => ({ numberNo, kind: "secrets", key: "wpp" });

/** Keys are long and random: their hash tells them apart, and nothing of them. */
export function hashWppKey(apiKey: string): string {
  return createHash("sha256").update(apiKey).digest("base64url");
}

/** Undefined: there is no such WPP number. Role worker. */
export async function readWppNumber(
  executor: Executor,
  keyring: Keyring,
  companyNo: number,
  numberNo: number,
): Promise<WppNumber | undefined> {
  const row = await firstRow(
    executor,
    sql<{
      secrets: Buffer | null;
      session: string | null;
      subOrgId: string | null;
      nextSubOrgId: string | null;
      webhookKey: string;
      server: WppPlatform;
    }>`select secrets, wpp_server as server, settings ->> 'wppAccountNumber' as session, settings ->> 'wppSubOrgId' as sub_org_id,
        settings ->> 'wppNextSubOrgId' as next_sub_org_id, webhook_key
      from numbers where company_no = ${companyNo} and number_no = ${numberNo} and provider = 'wpp'`,
  );
  if (!row) return undefined;
  const { secrets, session, subOrgId, nextSubOrgId, webhookKey, server } = row;
  const isStale = session === STALE_WPP_SESSION;
  const facts = { server, isStale, subOrgId, nextSubOrgId, webhookKey };
  if (!secrets || session === null || isStale) return { ...facts, client: null };
  const sealer = await keyring.sealer(executor, companyNo);
  const opened: unknown = JSON.parse(sealer.open(contextOf(numberNo), secrets).toString());
  const apiKey: unknown = Object(opened)["apiKey"];
  return { ...facts, client: typeof apiKey === "string" ? { apiKey, session } : null };
}

/** The session a WPP number has, whoever's words they are; null: none. Role app, in `withCompany`. */
export async function readWppSession(
  tx: Tx,
  companyNo: number,
  numberNo: number,
): Promise<string | null> {
  const row = await firstRow(
    tx,
    sql<{ session: string | null }>`select settings ->> 'wppAccountNumber' as session from numbers
      where company_no = ${companyNo} and number_no = ${numberNo}`,
  );
  return row?.session ?? null;
}

export type WppTask = { taskId: string; type: string };

/**
 * What the platform knows a message by that was sent: the id of its task, also when WhatsApp has given it one of its
 * own since. Undefined: there is no such message. Role worker.
 */
export async function readWppTask(
  executor: Executor,
  companyNo: number,
  numberNo: number,
  providerMessageId: string,
): Promise<WppTask | undefined> {
  return firstRow(
    executor,
    sql<WppTask>`select coalesce(task_id, provider_message_id) as task_id, type from messages
      where company_no = ${companyNo} and number_no = ${numberNo} and direction = 'out'
        and provider_message_id = ${providerMessageId} order by message_id desc limit 1`,
  );
}

/** Another task has taken the place of the message's: what is told of that one is told of it. Role worker, in `fencedTransaction`. */
export async function replaceWppTask(
  tx: Tx,
  { companyNo, numberNo }: Fence,
  providerMessageId: string,
  taskId: string,
): Promise<void> {
  await sql`update messages set provider_message_id = ${taskId}, task_id = null
    where company_no = ${companyNo} and number_no = ${numberNo} and direction = 'out'
      and provider_message_id = ${providerMessageId}`.execute(tx);
}

/**
 * Notes under which organisation a client is about to be made: a try that is repeated finds the same one, until its client is
 * stored. Null: it is not to be used. Role worker, in `fencedTransaction`.
 */
export async function noteWppOrganisation(
  tx: Tx,
  fence: Fence,
  subOrgId: string | null,
): Promise<void> {
  await changeSettings(tx, fence, { wppNextSubOrgId: subOrgId });
}

/** Whether another number, of whichever company, has this key or session. Role worker. */
export async function isWppClientTaken(
  executor: Executor,
  numberNo: number,
  client: { apiKey: string; session: string },
): Promise<boolean> {
  const row = await firstRow(
    executor,
    sql<object>`select 1 as one from numbers where provider = 'wpp' and number_no <> ${numberNo}
      and (settings ->> 'wppAccountNumber' = ${client.session}
        or settings ->> 'wppKeyHash' = ${hashWppKey(client.apiKey)}) limit 1`,
  );
  return row !== undefined;
}

/**
 * Stores the client of a number, in place of the one it had. Fails with 23505 when another number has this key or
 * session. Role worker, in `fencedTransaction`.
 */
export async function setWppClient(
  tx: Tx,
  keyring: Keyring,
  fence: Fence,
  { apiKey, session }: { apiKey: string; session: string },
): Promise<void> {
  const { companyNo, numberNo } = fence;
  const sealer = await keyring.sealer(tx, companyNo);
  const sealed = sealer.seal(contextOf(numberNo), Buffer.from(JSON.stringify({ apiKey })));
  await sql`update numbers set secrets = ${sealed}, is_active = true
    where company_no = ${companyNo} and number_no = ${numberNo}`.execute(tx);
  await sql`update numbers set settings = settings - 'wppNextSubOrgId'
      || jsonb_build_object('wppSubOrgId', settings -> 'wppNextSubOrgId')
    where company_no = ${companyNo} and number_no = ${numberNo}
      and settings ->> 'wppNextSubOrgId' is not null`.execute(tx);
  await changeSettings(tx, fence, { wppAccountNumber: session, wppKeyHash: hashWppKey(apiKey) });
}

async function changeSettings(tx: Tx, fence: Fence, settings: object): Promise<void> {
  const count = await changed(
    tx,
    sql`update numbers set settings = jsonb_strip_nulls(settings || ${JSON.stringify(settings)}::jsonb)
      where company_no = ${fence.companyNo} and number_no = ${fence.numberNo} and provider = 'wpp'`,
  );
  if (count === 0) throw new FencedError(fence);
}
